// The timeline as a value: where an event lies on the strip, and which event lies where. Pure.
// Every bucket is as wide as the others, so idle time is as short as the server made it.

/** The timeline in an answer of the server. */
export function timelineOf(answer) {
  return { buckets: answer.buckets, events: answer.events, isWhole: answer.is_whole };
}

/** The timeline with another event at its end. */
export function extended(timeline, { number, time, type }) {
  if (number <= timeline.events) return timeline;
  const last = timeline.buckets.at(-1) ?? { from: number, to: number - 1, start: time, events: 0, failures: 0, reopenings: 0 };
  const grown = {
    ...last,
    to: number,
    end: time,
    events: number - last.from + 1,
    failures: last.failures + Number(type === "task.failed"),
    reopenings: last.reopenings + Number(type === "task.reopened"),
  };
  return { ...timeline, events: number, buckets: [...timeline.buckets.slice(0, -1), grown] };
}

/** The number of the event at a place on the strip, from 0 (its left end) to 1. */
export function numberAt(timeline, share) {
  const { buckets } = timeline;
  if (buckets.length === 0) return 0;
  const along = Math.min(Math.max(share, 0), 1) * buckets.length;
  const index = Math.min(Math.floor(along), buckets.length - 1);
  const bucket = filledBefore(buckets, index);
  const inside = bucket === buckets[index] ? along - index : 1;
  return Math.min(bucket.to, bucket.from + Math.floor(inside * (bucket.to - bucket.from + 1)));
}

/** Where an event lies on the strip, from 0 to 1: the middle of its part of its bucket. */
export function shareOf(timeline, number) {
  const { buckets } = timeline;
  if (buckets.length === 0) return 1;
  if (number >= timeline.events) return 1;
  const index = bucketIndex(buckets, number);
  const { from, to } = buckets[index];
  const inside = Math.min(Math.max((number - from + 0.5) / (to - from + 1), 0), 1);
  return (index + inside) / buckets.length;
}

/** The bucket that has an event, or the last one before it. */
export function bucketIndex(buckets, number) {
  let [low, high] = [0, buckets.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (buckets[middle].from <= number) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** An empty bucket stands for the events before it. */
function filledBefore(buckets, index) {
  for (let each = index; each >= 0; each -= 1) if (buckets[each].events > 0) return buckets[each];
  return buckets.find((bucket) => bucket.events > 0) ?? buckets[index];
}
