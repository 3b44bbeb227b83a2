// Which lines are together in the list: those that are down first, then by their names. Pure, so
// that a test can ask it anything.

/** From this many lines on they are grouped; fewer can be seen all at once. */
const MANY = 21;

/**
 * The part of a name that others may share: `rack1` in `rack1-sw3` and in `rack1.console`, `plc` in
 * `plc12`.
 */
export function prefix(name) {
  const [, before] = /^(.+?)[-_.]/.exec(name) ?? [];
  return before ?? /^(.*?)\d*$/.exec(name)[1] ?? name;
}

/**
 * The groups of `endpoints` (in the order of their names): [{ id, title, members }]. A prefix that
 * only one line has makes no group: those lines come last, together.
 */
export function groups(endpoints) {
  const down = endpoints.filter(({ state }) => state === "down");
  const rest = endpoints.filter(({ state }) => state !== "down");
  const list = down.length > 0 ? [{ id: "down", title: "Not there", members: down }] : [];
  if (endpoints.length < MANY)
    return [
      ...list,
      ...(rest.length > 0
        ? [{ id: "all", title: down.length > 0 ? "There" : "", members: rest }]
        : []),
    ];
  const by = new Map();
  for (const endpoint of rest) {
    const key = prefix(endpoint.name);
    by.set(key, [...(by.get(key) ?? []), endpoint]);
  }
  const single = [...by]
    .filter(([, members]) => members.length === 1)
    .flatMap(([, members]) => members);
  for (const [key, members] of by)
    if (members.length > 1) list.push({ id: `prefix:${key}`, title: key, members });
  if (single.length > 0)
    list.push({ id: "other", title: list.length > 0 ? "Others" : "", members: single });
  return list;
}

/** Whether `endpoint` fits all of `words` (lower case). */
export function fits(endpoint, words, kind) {
  const text = [
    endpoint.name,
    endpoint.title,
    kind,
    endpoint.state,
    endpoint.error,
    endpoint.writer?.user,
  ]
    .join(" ")
    .toLowerCase();
  return words.every((word) => text.includes(word));
}
