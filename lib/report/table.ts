/** Tables of text: aligned for terminals, and in Markdown. */
import { invalidArgument } from '../errors.js';
import { paint, type Style, type TextStream } from './terminal_style.js';

export interface TableColumn {
  readonly title: string;
  /** Default: the first column to the left, the others to the right, as numbers stand. */
  readonly align?: 'left' | 'right';
}

export interface Table {
  readonly columns: readonly (string | TableColumn)[];
  /** Every row has as many cells as there are columns. */
  readonly rows: readonly (readonly string[])[];
}

export interface TextTableOptions {
  /** Whose terminal the styles are for. Default: process.stdout. */
  readonly stream?: TextStream;
  /** The style of a row, by its number from 0. */
  readonly style?: (row: number) => Style | undefined;
}

/** The table with aligned columns, a bold header and a rule below it. Lines carry no blanks at their ends. */
export function textTable(table: Table, options: TextTableOptions = {}): string {
  const stream = options.stream ?? process.stdout;
  const columns = checkedColumns(table);
  const widths = columnWidths(
    columns,
    table.rows.map((row) => row.map(flat)),
  );
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, c) => pad(flat(cell), widths[c]!, columns[c]!.align))
      .join('   ')
      .trimEnd();
  const rows = table.rows.map((row, i) => {
    const style = options.style?.(i);
    return style ? paint(stream, style, line(row)) : line(row);
  });
  const rule = widths.map((width) => '─'.repeat(width)).join('───');
  return [paint(stream, 'bold', line(columns.map(({ title }) => title))), rule, ...rows].join('\n');
}

/** The table in Markdown, aligned in the source too. */
export function markdownTable(table: Table): string {
  const columns = checkedColumns(table).map(({ title, align }) => ({ title: markdownCell(title), align }));
  const rows = table.rows.map((row) => row.map(markdownCell));
  const widths = columnWidths(columns, rows).map((width) => Math.max(3, width));
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, c) => pad(cell, widths[c]!, columns[c]!.align)).join(' | ')} |`;
  const rule = columns.map(({ align }, c) =>
    align === 'right' ? `${'-'.repeat(widths[c]! - 1)}:` : '-'.repeat(widths[c]!),
  );
  return [line(columns.map(({ title }) => title)), line(rule), ...rows.map(line)].join('\n');
}

function checkedColumns({ columns, rows }: Table): Required<TableColumn>[] {
  if (columns.length === 0) invalidArgument('columns', 'at least one column', columns);
  for (const [i, row] of rows.entries())
    if (row.length !== columns.length) invalidArgument(`rows[${i}]`, `${columns.length} cells`, row);
  return columns.map((column, c) => {
    const { title, align } = typeof column === 'string' ? { title: column, align: undefined } : column;
    return { title: flat(title), align: align ?? (c === 0 ? 'left' : 'right') };
  });
}

function columnWidths(columns: readonly TableColumn[], rows: readonly (readonly string[])[]): number[] {
  return columns.map(({ title }, c) => Math.max(width(title), ...rows.map((row) => width(row[c]!))));
}

/** Line breaks and tabs would break the table. */
function flat(cell: string): string {
  return cell.replace(/\s+/g, ' ').trim();
}

function markdownCell(cell: string): string {
  return flat(cell).replace(/[\\|]/g, '\\$&');
}

function width(cell: string): number {
  return [...cell].length;
}

function pad(cell: string, to: number, align: 'left' | 'right'): string {
  const blanks = ' '.repeat(Math.max(0, to - width(cell)));
  return align === 'left' ? cell + blanks : blanks + cell;
}
