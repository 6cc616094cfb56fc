// What the chosen method is, where it comes from and what it reads; and all of them to choose from.

import { el } from './dom.js';

export class MethodLine {
  // onChoose(name) asks for another method.
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.text = el('p', { class: 'sa-method-text' });
    this.button = el('button', { type: 'button', class: 'sa-tool', text: 'All methods', title: 'What each method is, its source and its layer', on: { click: () => this.dialog.showModal() } });
    this.list = el('div', { class: 'sa-methods' });
    this.dialog = el('dialog', { class: 'sa-sheet', 'aria-label': 'Saliency methods', on: { keydown: (event) => event.stopPropagation(), click: (event) => event.target === this.dialog && this.dialog.close() } },
      el('header', {}, el('h2', { text: 'Saliency methods' }), el('button', { type: 'button', text: 'Close', on: { click: () => this.dialog.close() } })), this.list);
    this.root = el('div', { class: 'sa-method' }, this.text, this.button, this.dialog);
  }

  // shown: the method of the maps in view, where it is not the chosen one.
  show({ methods, method }, layer, shown = method) {
    const chosen = methods.find(({ name }) => name === shown);
    if (!chosen) return;
    this.text.replaceChildren(el('strong', { text: chosen.title }), ` ${plain(chosen.description)} `,
      el('span', { class: 'sa-method-layer', text: `Layer: ${layer ? `${layer}. ` : ''}${plain(chosen.layer)} ` }),
      el('span', { class: 'sa-method-source', text: `Source: ${plain(chosen.source)}` }));
    this.text.title = this.text.textContent;
    this.list.replaceChildren(...methods.map((one) => this.card(one, one.name === method)));
  }

  card({ name, title, description, source, layer }, isChosen) {
    const choose = () => {
      this.dialog.close();
      if (!isChosen) this.onChoose(name);
    };
    return el('article', { 'aria-current': isChosen ? 'true' : null },
      el('header', {}, el('h3', { text: title }), el('button', { type: 'button', text: isChosen ? 'In use' : 'Use', disabled: isChosen, 'aria-label': `Use ${title}`, on: { click: choose } })),
      el('p', { text: description }),
      el('p', { class: 'sa-quiet', text: `Layer: ${layer}` }),
      el('p', { class: 'sa-quiet', text: `Source: ${source}` }));
  }
}

const plain = (text) => (/[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`);
