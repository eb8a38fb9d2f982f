/** The look of every chart, in one place. */

export const fontStack =
  "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif";

/** Charts bring their own background, so that they read the same in a dark viewer. */
export const colors = {
  background: '#ffffff',
  title: '#17202a',
  ink: '#36424f',
  muted: '#66727f',
  grid: '#e4e9ee',
  minorGrid: '#f3f5f8',
  axis: '#98a4b0',
} as const;

export const fontSizes = { heading: 18, title: 15, subtitle: 12, axis: 12, tick: 11, label: 11 } as const;

/**
 * Series colours: those of Okabe and Ito (2008), which people with any colour vision can tell apart, without the
 * yellow, which is too light for lines on white.
 */
export const seriesColors = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#4d4d4d'];

/** When the colours are used up, they come again with other dashes. */
const dashes = [undefined, '6 3', '2 3', '8 3 2 3'];

export function seriesColor(index: number): string {
  return seriesColors[index % seriesColors.length]!;
}

export function seriesDash(index: number): string | undefined {
  return dashes[Math.floor(index / seriesColors.length) % dashes.length];
}

/** Tints of regions: light enough for black dots, apart enough for neighbours. */
export const regionTints = [
  '#cfe3f2',
  '#fbdcc4',
  '#cdeadd',
  '#f1d9e8',
  '#fbeab8',
  '#dcdcec',
  '#e6e2da',
  '#d5eef5',
];

/** Advance widths in em of a wide sans serif (DejaVu Sans); narrower fonts leave some room. */
const advances: readonly (readonly [string, number])[] = [
  ["ijl'|", 0.29],
  [' .,:;!I()[]/\\ft"', 0.38],
  ['-r', 0.4],
  ['scz_', 0.53],
  ['mMW@%', 0.95],
  ['w+=<>~−×', 0.82],
  ['⁰¹²³⁴⁵⁶⁷⁸⁹⁻', 0.41],
];
const advanceOf = new Map(
  advances.flatMap(([characters, em]) => [...characters].map((c) => [c, em] as const)),
);

/** About how wide a text is, in the unit of its font size. Never much too small. */
export function textWidth(text: string, fontSize: number, bold = false): number {
  let em = 0;
  for (const character of text)
    em += advanceOf.get(character) ?? (/[A-Z]/.test(character) ? 0.7 : character > '\u2e80' ? 1 : 0.635);
  return em * fontSize * (bold ? 1.1 : 1);
}

/** The text, shortened with an ellipsis where it is wider than there is room. */
export function fittedText(text: string, room: number, fontSize: number, bold = false): string {
  if (textWidth(text, fontSize, bold) <= room) return text;
  const characters = [...text];
  while (characters.length > 1 && textWidth(`${characters.join('')}…`, fontSize, bold) > room)
    characters.pop();
  return `${characters.join('').trimEnd()}…`;
}
