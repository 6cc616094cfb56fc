// The views that are panes side by side: the modes of one model, and a pair with its difference.

import { base64Bytes, el } from './dom.js';
import { differenceColour, differenceMap } from './difference.js';
import { differenceScene } from './scene.js';

// A view has: root, panes, show(content, context), redraw(), sheet(). The panel owns what all views share.
export class ModesView {
  constructor(panel) {
    Object.assign(this, { panel, panes: [] });
    this.board = el('div', { class: 'sa-board' });
    this.bar = el('div', { class: 'sa-view-bar', hidden: true });
    this.root = el('div', { class: 'sa-view' }, this.bar, this.board);
  }

  show({ panes, layer }, context) {
    this.panel.setPanes(this, this.board, panes.length);
    panes.forEach((pane, at) => this.panes[at].show(pane, context));
    this.bar.hidden = !layer;
    this.bar.replaceChildren(
      el('span', { class: 'sa-chip', text: `Maps are read at ${layer}` }),
      el('button', { type: 'button', class: 'sa-tool', text: "Back to the model's own layer", on: { click: () => this.panel.choose({ layer: 'auto' }) } }),
    );
  }

  redraw() {}

  sheet() {
    return paneSheet(this.panes);
  }

  dispose() {
    this.panel.setPanes(this, this.board, 0);
    this.root.remove();
  }
}

export class PairView {
  constructor(panel) {
    Object.assign(this, { panel, panes: [] });
    this.selects = ['left', 'right'].map((side) => el('select', {
      'aria-label': side === 'left' ? 'First model and mode' : 'Second model and mode', on: { change: (event) => this.choose(side, event.target.value) },
    }));
    this.key = el('span', { class: 'sa-difference-key', 'aria-hidden': 'true' });
    this.key.style.background = gradient();
    this.board = el('div', { class: 'sa-board' });
    this.root = el('div', { class: 'sa-view' },
      el('div', { class: 'sa-view-bar' },
        el('label', {}, el('span', { text: 'First' }), this.selects[0]),
        el('label', {}, el('span', { text: 'Second' }), this.selects[1]),
        el('div', { class: 'sa-spacer' }),
        el('span', { class: 'sa-subtitle', text: 'first higher' }), this.key, el('span', { class: 'sa-subtitle', text: 'second higher' })),
      this.board);
  }

  choose(side, value) {
    const [model, mode] = JSON.parse(value);
    this.panel.choose({ [side]: { model, mode } });
  }

  show({ sides, panes }, context) {
    this.fill(sides, context.options.models);
    this.panel.setPanes(this, this.board, 3);
    panes.forEach((pane, at) => this.panes[at].show(pane, context));
    this.panes[2].show(differencePane(panes, context.meta), context);
  }

  fill(sides, models) {
    this.selects.forEach((select, at) => {
      const { model, mode } = sides[at];
      const value = JSON.stringify([model, mode]);
      select.replaceChildren(...models.map(({ name, modes }) => el('optgroup', { label: name },
        ...modes.map((one) => el('option', {
          value: JSON.stringify([name, one.name]), text: `${name}, ${one.title.toLowerCase()}${one.is_ready ? '' : ' (not trained)'}`, disabled: !one.is_ready,
        })))));
      select.value = value;
    });
  }

  redraw() {}

  sheet() {
    return { ...paneSheet(this.panes), isDifference: true };
  }

  dispose() {
    this.panel.setPanes(this, this.board, 0);
    this.root.remove();
  }
}

// The third pane of a pair: second minus first, with what can be said about it in numbers.
export function differencePane([first, second], meta) {
  const pane = { title: 'Difference', heat: null, numbers: [], caption: [], is_waiting: false };
  if (!first.heat || !second.heat) return { ...pane, subtitle: 'shown when both maps are there', is_waiting: first.is_waiting || second.is_waiting };
  if ([first, second].some(({ heat }) => heat.status === 'no_evidence')) return { ...pane, subtitle: 'one of the maps is empty: there is nothing to compare' };
  const [a, b] = [first, second].map(({ heat }) => ({ ...heat, values: base64Bytes(heat.values_b64) }));
  const difference = differenceMap(a, b, meta);
  if (!difference) return { ...pane, subtitle: 'the two models see no common part of this picture' };
  const overlap = difference.overlap === null ? 'n/a' : difference.overlap.toFixed(3);
  return {
    ...pane,
    subtitle: 'second minus first, each map between its own lowest and highest value',
    scene: differenceScene(difference, meta),
    numbers: [['Mean absolute difference', difference.mean.toFixed(3)], ['Overlap of the contours (IoU)', overlap]],
    caption: [`Difference: ${second.title} minus ${first.title}; mean absolute difference ${difference.mean.toFixed(3)}, overlap of the contours (IoU) ${overlap}.`],
  };
}

function gradient() {
  const stops = [-1, -0.5, 0, 0.5, 1].map((value) => {
    const [red, green, blue, alpha] = differenceColour(value);
    return `rgb(${red} ${green} ${blue} / ${(alpha / 255).toFixed(2)})`;
  });
  return `linear-gradient(to right, ${stops.join(', ')})`;
}

export function paneSheet(panes) {
  const shown = panes.filter(({ pane }) => pane && (pane.heat || pane.scene));
  return { panes: shown, columns: Math.max(1, shown.length) };
}
