/** Lists come in pages; people and scripts want the whole. */

/** All items of a paged list, in its order. `fetchPage` is called with the cursor of the page before. */
export async function allPages<Item>(
  fetchPage: (cursor: string | undefined) => Promise<{ items: readonly Item[]; nextCursor: string | null }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let cursor: string | undefined;
  for (;;) {
    const page = await fetchPage(cursor);
    items.push(...page.items);
    // A server that repeats its cursor would never end.
    if (page.nextCursor === null || page.nextCursor === cursor) return items;
    cursor = page.nextCursor;
  }
}
