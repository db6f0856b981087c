/** One line of a chart, or marks. */
export interface PlotSeries {
  readonly label: string;
  /** Name of a custom property, such as "--series-1". */
  readonly color: string;
  readonly values: readonly (number | null)[];
  readonly format: (value: number | null) => string;
  readonly width?: number;
  readonly dashed?: boolean;
  /** A mark at each value, for series with few of them. */
  readonly marks?: boolean;
}
