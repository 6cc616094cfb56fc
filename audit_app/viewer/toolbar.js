// The row of tools above the picture.

import { el } from './dom.js';

// Line icons on a 24 x 24 grid.
const ICONS = {
  draw: 'M4 5h16v14H4z',
  select: 'M6 3l12 9-5.5 1L16 20l-2.6 1.2L10 14l-4 4z',
  pan: 'M12 3v18M3 12h18M12 3l-2.5 2.5M12 3l2.5 2.5M12 21l-2.5-2.5M12 21l2.5-2.5M3 12l2.5-2.5M3 12l2.5 2.5M21 12l-2.5-2.5M21 12l-2.5 2.5',
  measure: 'M4 17L17 4l3 3L7 20zM8 13l2 2M11 10l2 2M14 7l2 2',
  fit: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  zoom_out: 'M5 12h14',
  zoom_in: 'M12 5v14M5 12h14',
  invert: 'M12 3a9 9 0 100 18zM12 3a9 9 0 010 18',
  reset: 'M5 12a7 7 0 107-7H7M10 2L7 5l3 3',
  undo: 'M9 14l-5-5 5-5M4 9h10a6 6 0 010 12h-3',
  redo: 'M15 14l5-5-5-5M20 9H10a6 6 0 000 12h3',
  hide: 'M2 12s4-7 10-7 10 7 10 7-4 7-10 7S2 12 2 12zM12 9a3 3 0 100 6 3 3 0 000-6z',
  previous: 'M15 5l-7 7 7 7',
  next: 'M9 5l7 7-7 7',
};

function icon(name) {
  const root = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  root.setAttribute('viewBox', '0 0 24 24');
  root.setAttribute('aria-hidden', 'true');
  const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
  path.setAttribute('d', ICONS[name]);
  root.append(path);
  return root;
}

// The window presets of a picture; -1 stands for a window of the reader's own.
export class PresetList {
  constructor(choose) {
    this.root = el('select', {
      class: 'sa-presets', 'aria-label': 'Window preset', title: 'Window preset (P)',
      on: { change: () => choose(Number(this.root.value)) },
    });
  }

  fill(presets, index) {
    this.root.replaceChildren(
      ...presets.map((preset, at) => el('option', { value: at, text: preset.name })),
      el('option', { value: -1, text: 'Custom', hidden: true }),
    );
    this.show(index);
  }

  show(index) {
    this.root.value = String(index);
  }
}

export class Toolbar {
  // run(command) carries out what the keys do too.
  constructor({ run, choosePreset }) {
    this.run = run;
    this.buttons = new Map();
    this.presets = new PresetList(choosePreset);
    this.root = el('div', { class: 'sa-toolbar', role: 'toolbar', 'aria-label': 'Picture and box tools' },
      this.group(this.button('draw', 'Draw', 'B'), this.button('select', 'Select', 'V'), this.button('pan', 'Pan', 'G'), this.button('measure', 'Measure', 'M')),
      this.group(this.button('zoom_out', 'Zoom out', '−'), this.button('zoom_in', 'Zoom in', '+'), this.button('fit', 'Fit', 'F'), this.button('actual', 'Actual size', 'A', '1:1')),
      this.group(this.presets.root, this.button('invert', 'Invert', 'I'), this.button('reset', 'Reset window and zoom', 'R')),
      this.group(this.button('undo', 'Undo', 'Ctrl Z'), this.button('redo', 'Redo', 'Ctrl Y'), this.button('hide', 'Hide boxes', 'hold H')),
      el('div', { class: 'sa-spacer' }),
      this.group(this.button('previous', 'Previous case', 'K'), this.button('next', 'Next case', 'J'), this.button('help', 'Keyboard shortcuts', '?', '?')));
  }

  group(...children) {
    return el('div', { class: 'sa-group' }, ...children);
  }

  button(command, name, key, text) {
    const node = el('button', {
      type: 'button', class: 'sa-tool', 'data-command': command, 'aria-label': name, title: `${name} (${key})`,
      on: { click: () => this.run(command) },
    });
    node.append(text ?? icon(command));
    this.buttons.set(command, node);
    return node;
  }

  setTool(tool) {
    for (const name of ['draw', 'select', 'pan', 'measure']) this.press(name, name === tool);
  }

  press(command, isPressed) {
    this.buttons.get(command).setAttribute('aria-pressed', String(isPressed));
  }

  enable(command, isEnabled) {
    this.buttons.get(command).disabled = !isEnabled;
  }
}
