/**
 * How many letters must be added, removed, replaced or swapped with their neighbour to make one word of the other. Takes
 * time in proportion to both lengths: only for short words.
 */
export function editDistance(from: string, to: string): number {
  let older: number[] = [];
  let last = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let row = 1; row <= from.length; row += 1) {
    const current = [row];
    for (let column = 1; column <= to.length; column += 1) {
      const isSame = from[row - 1] === to[column - 1];
      const isSwap = row > 1 && column > 1 && from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1];
      const ways = [
        (last[column] ?? 0) + 1,
        (current[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        ...(isSwap ? [(older[column - 2] ?? 0) + 1] : []),
      ];
      current.push(Math.min(...ways));
    }
    older = last;
    last = current;
  }
  return last[to.length] ?? from.length;
}
