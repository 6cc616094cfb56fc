// A click on a point in a plot of the audit opens the case of its row.

import { PlotWatch } from './plots.js';

export class RowPoints {
  // trigger(event, data) reaches Python: 'open'.
  constructor(host, trigger) {
    this.trigger = trigger;
    this.plots = new PlotWatch((plot) => plot.on('plotly_click', (event) => this.open(event)));
  }

  show(value) {
    this.plots.watch(document.getElementById(value?.place));
  }

  open({ points }) {
    // A point that stands for several rows, such as a mean, has no data.
    const row = points[0].customdata;
    if (row) this.trigger('open', { row });
  }
}
