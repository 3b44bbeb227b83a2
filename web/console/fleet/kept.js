// Elements of a list that is told anew all the time.

/**
 * Shows named items in `parent`, in their order: returns show(items). `make(name)` gives
 * { element, fill(item) }, which stays as long as an item of that name does, with the focus and the
 * place on the screen that it has.
 */
export function kept(parent, make) {
  const all = new Map();
  return (items) => {
    const names = new Set(items.map(({ name }) => name));
    for (const [name, { element }] of all)
      if (!names.has(name)) (element.remove(), all.delete(name));
    items.forEach((item, at) => {
      if (!all.has(item.name)) all.set(item.name, make(item.name));
      const { element, fill } = all.get(item.name);
      fill(item);
      if (parent.children[at] !== element)
        parent.insertBefore(element, parent.children[at] ?? null);
    });
  };
}
