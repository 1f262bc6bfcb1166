import assert from 'node:assert/strict';
import { offsetsFor } from '../../../../src/kernel/go/offsets.ts';
import { GO_RELEASES } from '../../../../src/kernel/go/releases.ts';

describe('offsets in runtime.g', () => {
  it('are known for every Go release since 1.18, to the last that was looked at', () => {
    const last = Math.max(...GO_RELEASES.map(([release]) => Number(release.split('.')[1])));
    assert.ok(last >= 27);
    for (let minor = 18; minor <= last; minor += 1) {
      for (const patch of ['', '.0', '.1', '.9', '.30']) {
        const offsets = offsetsFor(`go1.${minor}${patch}`);
        assert.ok(offsets !== undefined && offsets.goid >= 144 && offsets.goid <= 168, `1.${minor}${patch}: ${offsets?.goid}`);
        assert.equal(offsets.parent > 0, minor >= 21, `1.${minor}: parentGoid came with 1.21`);
        assert.ok(offsets.parent > 0 || (offsets.m > 0 && offsets.current > 0), `1.${minor}: before, who begins a goroutine is known by what its thread runs`);
      }
    }
  });

  it('are those of the release itself where it was looked at, also in a build of its development', () => {
    for (const [release, goid, parent, began] of GO_RELEASES) {
      for (const version of [`go${release}`, `go${release} X:nodwarf5`, `devel go${release}-3ab4c5d Mon Jan 1`]) {
        const { goid: a, parent: b, function: c } = offsetsFor(version) ?? {};
        assert.deepEqual([a, b, c], [goid, parent, began], version);
      }
    }
  });

  it('do not change within a release, so that the nearest patch will do for one that was not looked at', () => {
    const byMinor = new Map<string, string>();
    for (const [release, ...offsets] of GO_RELEASES) {
      const minor = release.split('.').slice(0, 2).join('.');
      assert.equal(String(offsets), byMinor.get(minor) ?? String(offsets), release);
      byMinor.set(minor, String(offsets));
    }
  });

  it('are not known of a later Go, nor of what is no version', () => {
    for (const version of ['go1.99.1', 'go1.14.2', 'go1.17.13', 'go2.1', '', 'go1.x', 'devel +3ab4c5d']) assert.equal(offsetsFor(version), undefined, version);
  });
});
