/** From drawings to a file: one, or several side by side. */
import { invalidArgument } from '../../errors.js';
import { background, drawHeading } from './frame.js';
import { type Drawing, element, escapeXml, moved } from './svg.js';
import { fontSizes, fontStack } from './theme.js';

/** The text of an .svg file. */
export function svgDocument(drawing: Drawing): string {
  const { width, height, title, content } = drawing;
  const root = element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      ...{ width, height, viewBox: `0 0 ${width} ${height}`, role: 'img', 'font-family': fontStack },
    },
    ...(title ? [`<title>${escapeXml(title)}</title>`] : []),
    content,
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root}\n`;
}

export interface ArrangeOptions {
  readonly title?: string;
  readonly subtitle?: string;
  /** Drawings in a row. Default: all. */
  readonly columns?: number;
}

/** Several drawings in rows, each as large as it is, with one heading. */
export function arrange(drawings: readonly Drawing[], options: ArrangeOptions = {}): Drawing {
  if (drawings.length === 0) invalidArgument('drawings', 'at least one drawing', drawings);
  const { columns = drawings.length } = options;
  if (!Number.isInteger(columns) || columns < 1)
    invalidArgument('columns', 'an integer of at least 1', columns);
  const rows = Array.from({ length: Math.ceil(drawings.length / columns) }, (_, r) =>
    drawings.slice(r * columns, (r + 1) * columns),
  );
  const width = Math.max(...rows.map((row) => row.reduce((sum, drawing) => sum + drawing.width, 0)));
  const heading =
    options.title || options.subtitle
      ? drawHeading(options, [], width, fontSizes.heading)
      : { content: '', height: 0 };
  const placed: string[] = [];
  let y = heading.height;
  for (const row of rows) {
    let x = 0;
    for (const drawing of row) {
      placed.push(moved(x, y, drawing.content));
      x += drawing.width;
    }
    y += Math.max(...row.map(({ height }) => height));
  }
  return {
    ...{ width, height: y },
    content: background(width, y) + heading.content + placed.join(''),
    title:
      options.title ??
      drawings
        .map(({ title }) => title)
        .filter(Boolean)
        .join('; '),
  };
}
