"""Appends to a file (`appends.py write FOLDER`), and holds what was recorded of it against the file (`check FOLDER < events --json`)."""
import json
import os
import sys

KEPT = 8192
what, folder = sys.argv[1:]
path = os.path.join(folder, 'deep', 'er', 'app.log')

if what == 'write':
    os.makedirs(os.path.dirname(path))
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    plain = os.open(os.path.join(folder, 'plain'), os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(plain, b'not appended')
    os.write(fd, b'write\n')
    os.writev(fd, [b'write', b'v\n'])
    os.pwrite(fd, b'pwrite\n', 0)
    os.pwritev(fd, [b'%d,' % n for n in range(60)], 0)
    os.writev(fd, [b'a' * 5000, b'b' * 5000])
    os.write(fd, b'c' * 20000)
    for n in range(3):
        with open(os.path.join(folder, 'brief.log'), 'ab', buffering=0) as brief:
            brief.write(b'brief %d\n' % n)
    sys.exit(0)

appends = [event for event in map(json.loads, sys.stdin) if event['kind'] == 'append']


def bytes_of(event):
    return event['text'].encode()


faults = []
content = open(path, 'rb').read()
position = 0
for event in appends:
    if event['path'] != path:
        continue
    kept = bytes_of(event)
    if event['position'] != position or content[position:position + len(kept)] != kept or 'cause' in event:
        faults.append(f'at {position}: {json.dumps(event)[:300]}')
    position += event['length']
if position != len(content):
    faults.append(f'{position} bytes of {len(content)}')
kept = sum(len(bytes_of(event)) for event in appends if event['path'] == path)
wanted = len(content) - 10000 - 20000 + 2 * KEPT
if kept != wanted:
    faults.append(f'{kept} bytes kept of {wanted}')
brief = [bytes_of(event) for event in appends if event['path'] == os.path.join(folder, 'brief.log')]
if brief != [b'brief %d\n' % n for n in range(3)]:
    faults.append(f'brief.log: {brief}')
others = {event['path'] for event in appends} - {path, os.path.join(folder, 'brief.log')}
if others:
    faults.append(f'also of {others}')
print(f'{len(appends)} events, {position} bytes')
print('\n'.join(faults), file=sys.stderr)
sys.exit(1 if faults else 0)
