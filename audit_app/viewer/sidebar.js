// Beside the picture: findings, certainty, the boxes, note, No Finding, commit, history and report.

import { el } from './dom.js';

const NOTE_PAUSE_MS = 600;
const CERTAINTIES = [['definite', 'Q'], ['probable', 'W'], ['possible', 'E']];

export class Sidebar {
  // owner: {chooseFinding(name), chooseCertainty(name), selectBox(id), deleteBox(id), setNote(text, id),
  //         run(command)}
  constructor(owner) {
    this.owner = owner;
    this.findingButtons = new Map();
    this.root = el('div', { class: 'sa-side' },
      el('div', { class: 'sa-side-scroll' }, this.buildRules(), this.buildFindings(), this.buildCertainty(), this.buildBoxes(), this.buildTexts()),
      this.buildCommit());
  }

  // --- building ----------------------------------------------------------------------------------

  buildFindings() {
    this.search = el('input', {
      type: 'search', class: 'sa-search', placeholder: 'Search findings  ( / )', 'aria-label': 'Search findings',
      autocomplete: 'off', on: { input: () => this.filterFindings(), keydown: (event) => this.searchKey(event) },
    });
    this.findings = el('div', { class: 'sa-findings', role: 'group', 'aria-label': 'Findings' });
    this.noFinding = el('button', {
      type: 'button', class: 'sa-no-finding', 'aria-pressed': 'false', text: 'No Finding', title: 'No Finding (N)',
      on: { click: () => this.owner.run('no_finding') },
    });
    this.next = el('p', { class: 'sa-next', id: 'sa-next-finding' });
    return el('section', { class: 'sa-marking', 'aria-label': 'Finding' }, this.next, this.search, this.findings, this.noFinding);
  }

  buildCertainty() {
    this.certainty = el('div', { class: 'sa-segments', role: 'group', 'aria-label': 'Certainty' },
      ...CERTAINTIES.map(([name, key]) => el('button', {
        type: 'button', 'data-certainty': name, 'aria-pressed': 'false', text: name, title: `${name} (${key})`,
        on: { click: () => this.owner.chooseCertainty(name) },
      })));
    return this.certainty;
  }

  buildBoxes() {
    this.boxesTitle = el('h3', { text: 'Boxes' });
    this.boxes = el('ol', { class: 'sa-box-list' });
    this.note = el('textarea', {
      class: 'sa-note', rows: 2, maxlength: 1000, placeholder: 'Note on this box (optional)', 'aria-label': 'Note on the selected box',
      on: { input: () => this.keepNoteSoon(), change: () => this.keepNote(), keydown: (event) => this.noteKey(event), blur: () => this.showNote() },
    });
    return el('section', { 'aria-label': 'Boxes' }, this.boxesTitle, this.boxes, this.note);
  }

  // While one types, not only when the field is left: a page that ends must not take the text with it.
  keepNoteSoon() {
    clearTimeout(this.noteTimer);
    this.noteTimer = setTimeout(() => this.keepNote(), NOTE_PAUSE_MS);
  }

  keepNote() {
    clearTimeout(this.noteTimer);
    if (this.noteOf) this.owner.setNote(this.note.value, this.noteOf);
  }

  // It stays under the hands of who types: else the next keys would go to the picture, and mark something.
  showNote() {
    const isTyping = document.activeElement === this.note;
    this.note.hidden = !this.noteOf && !isTyping;
    this.note.disabled = !this.isEditable && !isTyping;
  }

  buildRules() {
    this.rules = el('div', { class: 'sa-rules' });
    return this.rules;
  }

  // What the protocol makes different from plain blinded reading, and what others said.
  setRules({ notes = [] }, earlier) {
    const line = ({ reader, regions, no_finding: none, colour }) => {
      const swatch = el('span', { class: 'sa-swatch', 'aria-hidden': 'true' });
      swatch.style.borderColor = colour;
      const said = none ? 'No Finding' : regions.map(({ finding, certainty }) => (certainty === 'definite' ? finding : `${finding} (${certainty})`)).join(', ');
      return el('li', {}, swatch, el('span', { text: `${reader}: ${said}` }));
    };
    this.rules.replaceChildren(
      ...notes.map((text) => el('p', { class: 'sa-rule', text })),
      ...(earlier.length ? [el('h3', { text: 'Earlier readings' }), el('ul', { class: 'sa-earlier-list' }, ...earlier.map(line))] : []),
    );
  }

  buildTexts() {
    this.texts = el('div', { class: 'sa-texts' });
    return this.texts;
  }

  buildCommit() {
    this.commit = el('button', {
      type: 'button', class: 'sa-commit', text: 'Commit reading', title: 'Commit the reading (Ctrl Enter)',
      on: { click: () => this.owner.run('commit') },
    });
    this.correct = el('button', { type: 'button', text: 'Correct', title: 'Open the reading again; the committed version stays', on: { click: () => this.owner.run('correct') } });
    this.compare = el('button', { type: 'button', class: 'sa-compare-link', text: 'See where the models looked → Compare', on: { click: () => this.owner.run('compare') } });
    this.commitNote = el('p', { class: 'sa-commit-note' });
    return el('section', { class: 'sa-committing', 'aria-label': 'Commit' }, this.commit, this.commitNote, this.correct, this.compare);
  }

  // --- findings ----------------------------------------------------------------------------------

  setFindings(findings) {
    this.findingButtons.clear();
    this.findings.replaceChildren(...findings.map((finding) => this.findingButton(finding)));
  }

  findingButton({ name, colour, key }) {
    const swatch = el('span', { class: 'sa-swatch', 'aria-hidden': 'true' });
    swatch.style.borderColor = colour;
    const button = el('button', {
      type: 'button', 'data-finding': name, 'aria-pressed': 'false', 'aria-label': key ? `${name}, key ${key}` : name,
      on: { click: () => this.owner.chooseFinding(name) },
    }, swatch, el('span', { class: 'sa-name', text: name }), key ? el('kbd', { text: key, 'aria-hidden': 'true' }) : null);
    this.findingButtons.set(name, button);
    return button;
  }

  filterFindings() {
    const wanted = this.search.value.trim().toLowerCase();
    for (const [name, button] of this.findingButtons) button.hidden = !name.toLowerCase().includes(wanted);
  }

  searchKey(event) {
    event.stopPropagation();
    if (event.key === 'Enter') {
      const first = [...this.findingButtons].find(([, button]) => !button.hidden);
      if (first) this.owner.chooseFinding(first[0]);
    }
    if (event.key !== 'Enter' && event.key !== 'Escape') return;
    this.search.value = '';
    this.filterFindings();
    this.owner.run('focus');
  }

  noteKey(event) {
    event.stopPropagation();
    if (event.key === 'Escape' || (event.key === 'Enter' && (event.ctrlKey || event.metaKey))) this.owner.run('focus');
  }

  // --- showing -----------------------------------------------------------------------------------

  // state: {model, selected: region|null, isFresh, finding, certainty, colourOf, isEditable}
  show(state) {
    const shown = state.selected && !state.isFresh ? state.selected.finding : state.finding;
    for (const [name, button] of this.findingButtons) {
      button.setAttribute('aria-pressed', String(name === shown));
      button.disabled = !state.isEditable || state.model.no_finding;
    }
    this.next.textContent = state.selected && !state.isFresh ? 'Finding of the selected box' : 'Finding of the next box';
    const certainty = state.selected?.certainty ?? state.certainty;
    for (const button of this.certainty.children) {
      button.setAttribute('aria-pressed', String(button.dataset.certainty === certainty));
      button.disabled = !state.isEditable || state.model.no_finding;
    }
    this.noFinding.setAttribute('aria-pressed', String(state.model.no_finding));
    this.noFinding.disabled = !state.isEditable;
    this.showBoxes(state);
    this.showCommit(state);
  }

  showBoxes({ model, selected, colourOf, isEditable }) {
    const focused = document.activeElement?.closest?.('.sa-box-list li')?.dataset.regionId;
    this.boxesTitle.textContent = model.regions.length ? `Boxes (${model.regions.length})` : 'Boxes';
    const items = model.regions.map((region) => this.boxItem(region, region.region_id === selected?.region_id, colourOf, isEditable));
    this.boxes.replaceChildren(...items);
    if (focused) this.boxes.querySelector(`li[data-region-id="${focused}"] button`)?.focus();
    this.isEditable = isEditable;
    if (document.activeElement !== this.note || !selected) { // else what is typed belongs to its box
      clearTimeout(this.noteTimer);
      this.noteOf = selected?.region_id ?? null;
      this.note.value = selected?.note ?? '';
    }
    this.showNote();
  }

  boxItem(region, isSelected, colourOf, isEditable) {
    const swatch = el('span', { class: 'sa-swatch', 'aria-hidden': 'true' });
    swatch.style.borderColor = colourOf(region.finding);
    const unsure = region.certainty === 'definite' ? '' : ` · ${region.certainty || 'certainty?'}`;
    return el('li', { 'data-region-id': region.region_id, class: isSelected ? 'sa-selected' : '' },
      el('button', {
        type: 'button', class: 'sa-box-name', 'aria-pressed': String(isSelected), on: { click: () => this.owner.selectBox(region.region_id) },
      }, swatch, el('span', { class: 'sa-name', text: region.finding + unsure + (region.note ? ' · ✎' : '') })),
      el('button', {
        type: 'button', class: 'sa-delete', 'aria-label': `Delete ${region.finding}`, title: 'Delete (Del)', text: '×', disabled: !isEditable,
        on: { click: () => this.owner.deleteBox(region.region_id) },
      }));
  }

  showCommit({ model, isEditable, rules }) {
    const isCommitted = !model.is_open;
    this.commit.hidden = isCommitted;
    this.commit.disabled = !isEditable;
    this.commit.textContent = model.commits ? 'Commit the correction' : 'Commit reading';
    this.correct.hidden = !isCommitted;
    const isUnlocked = model.commits > 0 || (rules.maps === 'at once' && model.regions.length > 0);
    this.compare.hidden = rules.maps === 'never' || !isUnlocked;
    this.commitNote.textContent = commitText(model);
  }

  setTexts({ history, report, facts }) {
    const part = (title, text) => el('details', { open: true }, el('summary', { text: title }), el('p', { text }));
    this.texts.replaceChildren(
      ...[['History', history], ['Report', report], ['Picture', facts]].filter(([, text]) => text).map(([title, text]) => part(title, text)),
    );
  }
}

function commitText(model) {
  if (!model.commits) return '';
  const version = model.commits === 1 ? 'Committed.' : `Committed, version ${model.commits}.`;
  if (!model.is_open) return version;
  return `${version} You are correcting it: commit again to keep the change; the first version stays.`;
}
