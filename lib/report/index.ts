/** What a training run writes and how it is drawn: metrics, event files, charts, tables, progress. */

export { type Bar, type BarChartOptions, barChart } from './chart/bar_chart.js';
export { type ArrangeOptions, arrange, svgDocument } from './chart/document.js';
export type { ChartOptions } from './chart/frame.js';
export { type ImageGridOptions, type ImageRow, imageGrid } from './chart/image_grid.js';
export { type LineChartOptions, type LineSeries, lineChart } from './chart/line_chart.js';
export { type CodePoint, type PartitionChartOptions, partitionChart } from './chart/partition_chart.js';
export type { IdGrid } from './chart/regions.js';
export type { Rule } from './chart/rules.js';
export type { AxisOptions } from './chart/scale.js';
export {
  type ScatterChartOptions,
  type ScatterGroup,
  type ScatterPoint,
  scatterChart,
} from './chart/scatter_chart.js';
export type { Drawing } from './chart/svg.js';
export {
  type MetricsLine,
  MetricsLog,
  type MetricsLogOptions,
  metricNames,
  metricSeries,
  readMetrics,
} from './metrics_log.js';
export { type PngOptions, svgToPng } from './png.js';
export {
  ProgressBar,
  type ProgressNumbers,
  type ProgressOptions,
  type ProgressStream,
} from './progress_bar.js';
export { markdownTable, type Table, type TableColumn, type TextTableOptions, textTable } from './table.js';
export { EventWriter, type EventWriterOptions } from './tensorboard.js';
export type { Style, TextStream } from './terminal_style.js';
