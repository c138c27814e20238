/** The signs of incident kinds: a path in a box of 24 by 24, or a letter for a kind without one. */

function star(points: number, outer: number, inner: number): string {
  const corners = Array.from({ length: points * 2 }, (_, index) => {
    const radius = index % 2 === 0 ? outer : inner;
    const angle = (index * Math.PI) / points - Math.PI / 2;
    return `${(12 + radius * Math.cos(angle)).toFixed(2)} ${(12 + radius * Math.sin(angle)).toFixed(2)}`;
  });
  return `M${corners.join("L")}Z`;
}

const PATHS: Record<string, string> = {
  crash: star(8, 11, 4.6),
  fire: "M12.6 1.5C13.4 6 19 8.6 19 15A7 7 0 0 1 5 15C5 11.4 7 9.6 7.8 6.8 9.6 8 10.2 9.4 10.2 11.2 11.9 9 12.9 5.6 12.6 1.5Z",
};

export interface Glyph {
  path: string | null;
  letter: string;
}

export function glyphOf(kind: string): Glyph {
  return { path: PATHS[kind] ?? null, letter: kind.charAt(0).toUpperCase() };
}
