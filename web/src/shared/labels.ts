/**
 * Returns whether the label of a picture means a class.
 *
 * A label may carry a number of its own, as in n02099601_golden_retriever.
 */
export function same(label: string, name: string): boolean {
  const plain = (text: string) => text.toLowerCase().replaceAll("_", " ");
  return plain(label) === plain(name) || plain(label).endsWith(` ${plain(name)}`);
}
