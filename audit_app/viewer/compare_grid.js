// All findings in all modes at a glance: a column for each finding, a row for each mode.

import { el } from './dom.js';
import { Thumb } from './compare_thumb.js';

const FILE_EDGE = 240;

export class GridView {
  constructor(panel) {
    Object.assign(this, { panel, panes: [], thumbs: [], content: null });
    this.size = el('input', { type: 'range', min: 78, max: 260, step: 4, value: 78, 'aria-label': 'Size of the pictures', on: { input: () => this.resize() } });
    this.table = el('table', { class: 'sa-grid' });
    this.root = el('div', { class: 'sa-view' },
      el('div', { class: 'sa-view-bar' },
        el('span', { class: 'sa-subtitle', text: 'Click a picture to open its finding.' }), el('div', { class: 'sa-spacer' }),
        el('label', { class: 'sa-size' }, el('span', { text: 'Size' }), this.size)),
      el('div', { class: 'sa-grid-frame', tabindex: 0, role: 'region', 'aria-label': 'All findings in all modes' }, this.table));
  }

  show(content, context) {
    this.content = content;
    this.context = context;
    this.clear();
    const colours = new Map(context.meta.findings.map(({ name, colour }) => [name, colour]));
    this.table.replaceChildren(
      el('thead', {}, el('tr', {}, el('td', {}), ...content.columns.map((column) => heading(column, colours.get(column.finding), context.finding)))),
      el('tbody', {}, ...content.rows.map((row) => this.row(row, content.columns, colours))),
    );
    this.resize();
  }

  row(row, columns, colours) {
    const head = el('th', { scope: 'row' }, el('span', { text: row.title }));
    if (!row.cells.length) return el('tr', {}, head, el('td', { class: 'sa-grid-reason', colspan: columns.length, text: row.reason }));
    return el('tr', {}, head, ...row.cells.map((cell, at) => {
      const { finding, regions } = columns[at];
      const name = `${finding}, ${row.title}`;
      const thumb = new Thumb(this.panel, { title: name, onOpen: () => this.panel.choose({ view: 'modes', finding }) });
      thumb.show({ heat: cell.heat, label: labelOf(cell), reason: 'no output', regions, colour: colours.get(finding) ?? '#fff', name });
      thumb.facts = { title: finding, subtitle: `${row.title}: ${thumb.label.textContent}` };
      this.thumbs.push(thumb);
      return el('td', {}, thumb.root);
    }));
  }

  resize() {
    this.table.style.setProperty('--sa-columns', this.content.columns.length);
    this.table.style.setProperty('--sa-cell', `${this.size.value}px`);
  }

  redraw() {
    this.thumbs.forEach((thumb) => thumb.draw());
  }

  sheet() {
    const rows = this.content.rows.filter(({ cells }) => cells.length);
    return {
      cells: this.thumbs.map((thumb) => ({ ...thumb.cell(FILE_EDGE), ...thumb.facts })),
      columns: this.content.columns.length,
      caption: [...this.content.caption, ...rows.flatMap(({ title, caption }) => [`${title}: ${caption[0]}`, ...caption.slice(1)])],
    };
  }

  clear() {
    this.thumbs.forEach((thumb) => thumb.dispose());
    this.thumbs = [];
  }

  dispose() {
    this.clear();
    this.root.remove();
  }
}

const labelOf = ({ score, iou }) => (iou ? `IoU ${iou}` : score.replace(/ \(.*\)$/, ''));

// Long words may be broken where a hyphen does no harm.
const softened = (text) => text.replace(/\p{L}{13,}/gu, (word) => word.replace(/(\p{L}{6})(?=\p{L}{4})/u, '$1\u00ad'));

function heading({ finding, regions }, colour, chosen) {
  const mark = el('span', { class: 'sa-grid-mark', hidden: !regions.length, title: 'marked by the reader' });
  if (colour) mark.style.borderColor = colour;
  return el('th', { scope: 'col', 'aria-current': finding === chosen ? 'true' : null, title: regions.length ? `${finding}: marked by the reader` : finding }, mark, el('span', { text: softened(finding) }));
}
