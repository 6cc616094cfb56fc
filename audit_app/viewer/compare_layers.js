// One finding in one mode at every layer: a strip of small maps, a slider, and the chosen one large.

import { el } from './dom.js';
import { Thumb } from './compare_thumb.js';

const FILE_EDGE = 300;

export class LayersView {
  constructor(panel) {
    Object.assign(this, { panel, panes: [], thumbs: [], items: [], path: null });
    this.modes = el('div', { class: 'sa-segmented', role: 'group', 'aria-label': 'Mode' });
    this.slider = el('input', { type: 'range', min: 0, max: 0, step: 1, value: 0, 'aria-label': 'Layer', on: { input: () => this.choose(Number(this.slider.value)) } });
    this.name = el('output', { class: 'sa-layer-name', 'aria-live': 'polite' });
    this.use = el('button', { type: 'button', class: 'sa-tool', text: 'Show this layer in all modes', on: { click: () => this.panel.choose({ view: 'modes', layer: this.items[this.index].key }) } });
    this.board = el('div', { class: 'sa-board' });
    this.strip = el('div', { class: 'sa-strip', role: 'group', 'aria-label': 'All layers' });
    this.root = el('div', { class: 'sa-view' },
      el('div', { class: 'sa-view-bar' }, this.modes, el('label', { class: 'sa-slider' }, el('span', { text: 'Layer' }), this.slider), this.name, el('div', { class: 'sa-spacer' }), this.use),
      el('div', { class: 'sa-layers' }, this.board, this.strip));
  }

  get index() {
    const at = this.items.findIndex(({ path }) => path === this.path);
    return at >= 0 ? at : Math.max(0, this.items.findIndex((item) => item.is_default));
  }

  show({ mode, items, pane }, context) {
    Object.assign(this, { items, context });
    this.fillModes(mode, context);
    this.panel.setPanes(this, this.board, 1);
    const hasLayers = items.length > 0;
    this.slider.max = Math.max(0, items.length - 1);
    this.slider.disabled = this.use.disabled = !hasLayers;
    if (hasLayers) {
      this.fillStrip();
      this.choose(this.index);
    } else {
      this.setThumbs(0);
      this.name.textContent = '';
      this.panes[0].show(pane, context);
    }
  }

  fillModes(chosen, { options }) {
    const { modes } = options.models.find(({ name }) => name === options.model);
    this.modes.replaceChildren(...modes.map(({ name, title, is_ready: isReady }) => el('button', {
      type: 'button', text: title, 'aria-pressed': String(name === chosen), disabled: !isReady, title: isReady ? title : `${title}: not trained yet`, on: { click: () => this.panel.choose({ mode: name }) },
    })));
  }

  fillStrip() {
    this.setThumbs(this.items.length);
    this.items.forEach(({ title, pane }, at) => this.thumbs[at].show({
      heat: pane.heat, label: `${title}\n${scoreOf(pane)}`, reason: `${title}\n${pane.is_waiting ? '…' : 'no map'}`, isWaiting: pane.is_waiting,
      regions: this.context.regions, colour: this.context.colour, name: pane.heat ? title : `${title}: ${pane.subtitle}`,
    }));
  }

  setThumbs(count) {
    while (this.thumbs.length > count) this.thumbs.pop().dispose();
    while (this.thumbs.length < count) {
      const at = this.thumbs.length;
      const thumb = new Thumb(this.panel, { title: '', onOpen: () => this.choose(at) });
      this.thumbs.push(thumb);
      this.strip.append(thumb.root);
    }
  }

  choose(at) {
    const { path, title, grid, pane, is_default: isDefault } = this.items[at];
    this.path = path;
    this.slider.value = String(at);
    this.slider.setAttribute('aria-valuetext', title);
    this.name.textContent = `${title}${isDefault ? ", the model's own" : ''}, grid ${grid.join(' x ')}`;
    this.name.title = path;
    this.use.disabled = !pane.heat;
    this.panes[0].show({ ...pane, title }, this.context);
    this.panel.showMethod(pane.layer || path);
    this.thumbs.forEach((thumb, index) => thumb.root.setAttribute('aria-pressed', String(index === at)));
  }

  redraw() {
    this.thumbs.forEach((thumb) => thumb.draw());
  }

  sheet() {
    const shown = this.items.map((item, at) => ({ item, thumb: this.thumbs[at] })).filter(({ item }) => item.pane.heat);
    return {
      cells: shown.map(({ item, thumb }) => ({ ...thumb.cell(FILE_EDGE), title: item.title, subtitle: `${item.pane.subtitle} ${scoreOf(item.pane)}` })),
      columns: Math.min(6, shown.length),
      caption: shown.flatMap(({ item }) => item.pane.caption),
    };
  }

  dispose() {
    this.setThumbs(0);
    this.panel.setPanes(this, this.board, 0);
    this.root.remove();
  }
}

function scoreOf({ numbers }) {
  const iou = numbers.find(([name]) => name === 'IoU');
  return iou ? `IoU ${iou[1]}` : '';
}
