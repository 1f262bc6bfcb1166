/** In words, what speaks for and against a tie, and why a call has none. The names: src/contexts/reasons.ts. */
import type { Chunk, Doubt, OutboundTalk, Session, Support, Talk, WhyNot } from '../sessions/session.ts';

type Call = Pick<OutboundTalk, 'request' | 'response'>;
type Tied = Call & Pick<OutboundTalk, 'reasons'>;

export function supportWords(kind: Support, call: Tied, { inbound }: Session): string {
  const wrote = threads(call.request);
  switch (kind) {
    case 'reads-request': return `${wrote} had read this session's request, and none after it`;
    case 'first-after-request': return `to make this call, or to connect for it, was the first thing that ${wrote} did after it read this session's request, within a millisecond`;
    case 'first-after-answer': return `to make this call, or to connect for it, was the first thing that ${wrote} did after it read the answer of a call of this session, within a millisecond`;
    case 'only-one-to-act': return 'no other session of the process was without an answer then, and this one waited for nothing else';
    case 'only-unanswered': return 'no other session of the process was without an answer then';
    case 'not-by-itself': return 'the process was not seen to make such calls while no request waited';
    case 'virtual-thread': return `${wrote} worked for a virtual thread then, as the service said, under whose name this session's request was read`;
    case 'named-late': return `${wrote} worked for a virtual thread then, which got its name when this session's request had just been read`;
    case 'delegated': return `${wrote} worked for the thread that had read this session's request, as the service said`;
    case 'started-for-it': return `${wrote} was started by a thread (or process) that worked for this session then`;
    case 'ended-by-then': return 'it was over when the session had closed: a pool\'s worker would have waited for more';
    case 'another-program': return 'it is a process that became another program';
    case 'starts-end': return 'what sessions of this listener started was never seen to outlive them';
    case 'as-alone': return `sessions of its endpoint that ran alone make such calls, and of the ways to share these out in turn it is the likeliest by far${reckoned(call.reasons?.probability)}`;
    case 'in-turn': return `threads that take no requests take what others put into a queue in turn, and of the ways to share such calls out, as sessions of its endpoint make them, it is the likeliest by far${reckoned(call.reasons?.probability)}`;
    case 'same-trace': return 'it carries a trace or request id that is this session\'s, and of no other one that was open when it began';
    case 'rare-words': return 'rare words of it stand in this session\'s request, response or calls, and in those of no other that was open when it began';
    case 'woke-waiter': return `when ${wrote} had read its answer, it woke the thread that had read this session's request, which had waited since before, and no other session's`;
    case 'begun-for-it': return `${wrote} was begun, directly or not, by the goroutine that had read this session's request and was at work for it`;
    case 'begun-to-serve': return `${wrote} was begun to serve this session's request, on its stream of the connection`;
    case 'serves-connection': return `${wrote} serves one connection, one request at a time: it runs net/http's (*conn).serve`;
    case 'kind-ends': return 'many goroutines that begin with its function were seen, and none went on when its session was over';
    case 'opened-for-it': return 'its connection was opened for this session';
    case 'in-its-context': return 'it was written in the context of Python\'s (contextvars: an asyncio task has one), or on the virtual thread of Java\'s, in which this session\'s request was answered, or in one made within that; or Node\'s memory leads from it to this session\'s response';
    case 'allocated-for-it': return `${wrote} was at a task of Java's that was made for this session: by the thread that had read its request, while that one was at work for it, or by one that was at such a task`;
    case 'numbered-between': return 'it was written on a virtual thread of Java\'s that was made between two which were begun for this session, which seldom is another\'s here';
    case 'holds-the-same': return 'it was written on a virtual thread of Java\'s that was given to do what holds the same object as what another one was given to do that was begun for this session, and what is held there is seldom another\'s here';
    case 'same-virtual-thread': return 'other calls of the virtual thread of Java\'s on which it was written are this session\'s, and none of another one\'s';
    case 'asked-at-call': return 'the runtime itself was asked: where the call was made, it was made for this session\'s request';
    case 'asked-at-write': return 'the runtime itself was asked: where the call was written, this session\'s request was at work';
    case 'call-by-one-thread': return seen(call.response) ? `${wrote} wrote it and read its answer` : `${wrote} wrote it`;
    case 'session-by-one-thread': return seen(inbound.response) ? `${threads(inbound.request)} read the request and wrote the response` : `${threads(inbound.request)} read the request`;
    case 'one-at-a-time': return 'the threads of its listener were seen to take one request at a time';
  }
}

export function doubtWords(kind: Doubt, call: Call & Pick<OutboundTalk, 'attribution'>, { inbound }: Session): string {
  const wrote = threads(call.request);
  switch (kind) {
    case 'never-proven': return `${neverProven(call.attribution)}: such a tie is never proven`;
    case 'queue-may-write': return 'where it was made was not seen (a library that is not known, pipelined requests): a queue may write it in another request\'s wake';
    case 'event-loop': return `${wrote} is an event loop: it was seen to accept a connection, to read another request or to work for another session while the request it had read had no answer`;
    case 'holds-several': return `${wrote} reads requests from several connections that it accepted and holds, as an event loop does`;
    case 'listener-loops': return 'another thread of its listener was seen to be an event loop';
    case 'not-seen-enough': return 'too few requests overlapped to tell whether the threads of its listener take one request at a time';
    case 'work-moves': return 'in this process, work was seen to move between threads';
    case 'may-serve-several': return `whether ${wrote} takes one request at a time is not known`;
    case 'begun-unseen': return `when ${wrote} began was not seen: it may have been begun for an earlier request`;
    case 'kind-unknown': return 'too few goroutines that begin with its function were seen to tell whether they end with their session';
    case 'events-lost': return 'events were lost while the session was open: the thread may have done what nobody saw';
    case 'recorder-away': return 'the recorder was away while the session was open: the thread may have done what nobody saw';
    case 'name-shared': return 'under the same name a request was read while another one had no answer';
    case 'starter-unsure': return 'that whoever started it worked for this session is not proven itself';
    case 'starts-unknown': return 'too little was seen of what sessions here start to rule a pool out, or some of it lived on';
    case 'pipelined': return 'requests were pipelined or shared a connection: the one ahead of it, or this one, had no answer when the next came';
    case 'request-by-several': return `${threads(inbound.request)} read the request${seen(inbound.response) ? `, ${threads(inbound.response)} wrote the response` : ''}`;
    case 'call-by-several': return seen(call.response) ? `${wrote} wrote it, ${threads(call.response)} read its answer` : `${wrote} wrote it`;
    case 'open-lost': return 'the opening of its connection was lost: who took part is not known';
    case 'after-response': return 'it began after the response was out: it may be somebody else\'s work';
    case 'multiplexed': return 'its connection carries several calls at a time: whoever writes on it may write for others';
    case 'alternatives': return 'another session may have made it as well';
  }
}

function neverProven(attribution: OutboundTalk['attribution']): string {
  if (attribution === 'elimination') return 'work left over from another session, or a timer\'s, would look the same';
  if (attribution === 'helper') return 'which request the name was given for is a guess';
  if (attribution === 'pattern') return 'work need not have been taken up in the order in which it came up';
  if (attribution === 'queue') return 'one who had waited longer may have been passed over';
  if (attribution === 'trace') return 'an application may keep an id too long, or hand it to the wrong work';
  if (attribution === 'handed-over') return 'a thread may wait for something else than what this one was given to do';
  if (attribution === 'runtime') return 'a context may do work for another request too (a batch, a queue)';
  if (attribution === 'content') return 'two requests may be about the same thing';
  return 'a pool may write another session\'s queued call in the wake of this answer';
}

export function whyNotWords(kind: WhyNot, call: Call): string {
  const wrote = threads(call.request);
  switch (kind) {
    case 'no-thread': return 'it was seen in packets only: which thread sent it is not known';
    case 'role-unknown': return 'the opening of its connection was lost: it may be no call at all';
    case 'session-over': return 'the session that it seemed to be of was over before it was known to be a call';
    case 'no-request': return `${wrote} had no request in hand`;
    case 'request-over': return `the session whose request ${wrote} had read last was over, or had been handed on`;
    case 'read-nothing': return `${wrote} had read nothing yet that it could follow from`;
    case 'slept': return `${wrote} did nothing for more than a millisecond after what it read last: a timer may have woken it`;
    case 'acted-before': return `${wrote} had done something else since what it read last`;
    case 'written-together': return `${wrote} wrote it together with other calls of its connection, while several requests were at work`;
    case 'several-read': return `${wrote}, an event loop, had read for several sessions before it acted`;
    case 'read-unknown': return `what ${wrote} had read last was of no session that was open`;
    case 'named-by-several': return 'it carries a trace or request id that several sessions have which were open then';
    case 'no-rare-words': return 'no rare words of it, or of its answer, stand in one session only that was open then';
    case 'woke-nobody': return `${wrote} woke no thread of a request that waited for it when it had read the answer`;
    case 'woke-several': return `${wrote} woke threads of several requests when it had read the answer, or one that had waited for its connection`;
    case 'wakes-unsure': return 'threads of this process wake each other for other reasons too, or too few were seen to tell';
    case 'pattern-unsure': return 'what sessions of its endpoints do alone does not tell, for sure enough, whose it is';
    case 'turn-unsure': return 'in which order sessions put such calls into a queue does not tell, for sure enough, whose it is, or this process\' queue does not keep to the turn';
    case 'tasks-shared': return `${wrote} had read a request, but threads of its process take up each other's tasks, and other sessions were at work`;
    case 'others-may-act': return `${wrote} had read an answer, but another session was without a response, or this one waited for something else`;
    case 'several-unanswered': return 'several sessions of the process were without an answer';
    case 'none-unanswered': return 'no session of the process was without an answer';
    case 'task-answers-none': return `it was written in a context of Python's, or on a virtual thread of Java's, that answered no request which was open then, nor did one in which that was made; or Node's memory leads from it to a connection with no such request`;
    case 'goroutine-unknown': return `which goroutine ran on ${wrote} was not known`;
    case 'virtual-thread-unknown': return `which virtual thread of Java's ${wrote} carried was not known`;
    case 'writer-unknown': return `${wrote} writes for whoever has its connection, and who had was not seen`;
    case 'kind-outlives': return `${wrote} is a pool's worker, as far as others tell that begin with its function`;
    case 'waited-for-by-none': return `${wrote} seemed to make it for a session that had no answer yet, but no response that was missing waited for it, as Node's memory has it`;
    case 'unlike-alone': return `${wrote} seemed to make it for a session whose like, where they ran alone, made no such call then`;
    case 'turned-out-loop': return `${wrote} turned out to be an event loop, and this was not the first thing that it did after it read the request`;
    case 'excluded': return `${wrote} had said that what it does is of no session`;
    case 'name-unread': return `${wrote} worked for a virtual thread then, as the service said, under whose name no request was read`;
    case 'outlived': return `${wrote} was started for the session and lived on after it: a pool's worker, which may work for anybody`;
    case 'cut-short': return `${wrote} was started for the session, and ended only as its process did: it may be a pool's worker, which may work for anybody`;
    case 'starter-fell': return `whoever started ${wrote} turned out to work for nobody that is known`;
    case 'asked-none': return 'the runtime itself was asked: it was made for no request';
    case 'by-itself': return 'the process makes such calls also while no request waits';
  }
}

/** Cut after two decimals, never rounded up. */
const reckoned = (probability: number | undefined): string => probability === undefined ? '' : `: ${(Math.floor(probability * 10_000) / 100).toFixed(2)} in 100`;

/** What packets carried (sendfile) was moved by nobody that is known. */
const seen = (chunks: Talk['request']): boolean => chunks.some((chunk: Chunk) => chunk.tid !== 0);

/** Who moved these chunks: "thread 7", "threads 7, 8", "goroutine 21". */
function threads(chunks: Talk['request']): string {
  const who = chunks.map((chunk: Chunk) => ('goroutine' in chunk && chunk.goroutine !== undefined ? { what: 'goroutine', id: chunk.goroutine } : { what: 'thread', id: chunk.tid }));
  const first = who.find(({ id }) => id !== 0);
  if (first === undefined) return 'a thread that nobody saw';
  const ids = [...new Set(who.filter(({ what, id }) => what === first.what && id !== 0).map(({ id }) => id))];
  return `${first.what}${ids.length === 1 ? '' : 's'} ${ids.join(', ')}`;
}
