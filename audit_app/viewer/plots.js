// The plots of the page, which Gradio draws.

// Gives each plot that comes into a place to `heard`, once: a plot's own script comes later than
// the page, and a plot may be replaced.
export class PlotWatch {
  constructor(heard) {
    Object.assign(this, { heard, known: new WeakSet() });
  }

  watch(place) {
    this.observer?.disconnect();
    if (!place) return;
    this.observer = new MutationObserver(() => this.look(place));
    this.observer.observe(place, { childList: true, subtree: true });
    this.look(place);
  }

  look(place) {
    for (const plot of place.querySelectorAll('.js-plotly-plot')) {
      if (this.known.has(plot) || typeof plot.on !== 'function') continue;
      this.known.add(plot);
      this.heard(plot);
    }
  }
}
