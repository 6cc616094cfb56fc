// The worklist: one page of cases, where the reader stands, and how far the reading got.

import { el } from './dom.js';

const RESEND_MS = 3000;
const TRIES = 5;
// Short, so that the name has the row; the whole word is the tip and what is read out.
const STATUS_MARKS = { new: 'new', draft: 'draft', committed: '✓', revised: '✓✓' };

export class Worklist {
  // trigger(event, data) reaches Python: 'choose' and 'turn'.
  constructor(host, trigger) {
    Object.assign(this, { host, trigger, value: null, chosen: [] });
    this.progress = el('progress', { class: 'sa-progress', 'aria-label': 'Cases read' });
    this.summary = el('p', { class: 'sa-summary', role: 'status' });
    this.pace = el('p', { class: 'sa-pace', title: 'The median of your last cases, without breaks' });
    this.rows = el('ol', { class: 'sa-rows', 'aria-label': 'Cases' });
    this.previous = el('button', { type: 'button', text: '‹', 'aria-label': 'Previous page', on: { click: () => this.turn(-1) } });
    this.next = el('button', { type: 'button', text: '›', 'aria-label': 'Next page', on: { click: () => this.turn(1) } });
    this.place = el('span', { class: 'sa-place' });
    host.classList.add('sa-worklist');
    host.replaceChildren(this.progress, this.summary, this.pace, this.rows, el('div', { class: 'sa-pager' }, this.previous, this.place, this.next));
    host.worklist = this;
    document.addEventListener('sa-reading', (event) => this.readingChanged(event.detail));
  }

  // {rows, n_matching, n_images, n_read, pace, page, n_pages, case_id, position_key, first_unread}
  show(value) {
    if (!value) return;
    this.settle(value);
    this.value = value;
    this.progress.max = Math.max(1, value.n_images);
    this.progress.value = value.n_read;
    const matching = value.n_matching === value.n_images ? '' : ` · ${value.n_matching} match`;
    this.summary.textContent = `${value.n_read} of ${value.n_images} read${matching}`;
    this.pace.textContent = value.pace ?? '';
    this.rows.replaceChildren(...value.rows.map((row) => this.row(row)));
    if (!value.rows.length) this.rows.append(el('li', { class: 'sa-no-rows', text: value.n_images ? 'No case matches.' : 'This workspace has no images yet. Import some in the tab Data & models.' }));
    this.place.textContent = value.n_pages > 1 ? `${value.page + 1} / ${value.n_pages}` : '';
    this.previous.hidden = this.next.hidden = value.n_pages <= 1;
    this.previous.disabled = value.page === 0;
    this.next.disabled = value.page + 1 >= value.n_pages;
    this.keepPosition(value);
    this.rows.querySelector('[aria-current=true]')?.scrollIntoView({ block: 'nearest' });
  }

  row({ image_id: id, name, view, status, n_regions: count }) {
    const isOpen = id === this.value.case_id;
    return el('li', { 'data-case-id': id },
      el('button', { type: 'button', 'aria-current': isOpen ? 'true' : null, on: { click: () => this.choose(id) } },
        el('span', { class: 'sa-row-name', text: name, title: name }),
        el('span', { class: 'sa-row-view', text: view }),
        el('span', { class: 'sa-row-count', text: count ? `${count} ▢` : '', role: count ? 'img' : null, 'aria-label': count ? `${count} boxes` : null }),
        el('span', { class: 'sa-badge', 'data-status': status, text: STATUS_MARKS[status], title: status, role: 'img', 'aria-label': status })));
  }

  choose(id) {
    this.chosen.push(id);
    this.ask(id, TRIES);
  }

  // Gradio may lose an event that comes while it handles another one: a choice without an answer is
  // made again.
  ask(id, triesLeft) {
    clearTimeout(this.again);
    if (triesLeft) this.again = setTimeout(() => this.ask(id, triesLeft - 1), RESEND_MS);
    this.trigger('choose', { case_id: id });
  }

  // The last choice is answered, or the reader went elsewhere meanwhile; the answer to an earlier
  // choice is neither.
  settle({ case_id: id }) {
    const isEarlier = this.chosen.includes(id) || id === this.value?.case_id;
    if (isEarlier && id !== this.chosen.at(-1)) return;
    clearTimeout(this.again);
    this.chosen = [];
  }

  turn(by) {
    this.trigger('turn', { page: this.value.page + by, case_id: this.value.case_id });
  }

  // The panel says what it has just shown; no need to ask the server.
  readingChanged({ case_id: id, status, n_regions: count }) {
    const at = this.value?.rows.findIndex((row) => row.image_id === id) ?? -1;
    if (at < 0 || !this.host.isConnected) return;
    const row = { ...this.value.rows[at], status, n_regions: count };
    const old = this.value.rows[at];
    if (old.status === status && old.n_regions === count) return;
    this.value.rows[at] = row;
    this.rows.children[at].replaceWith(this.row(row));
  }

  // Where the reader was is remembered by opaque id; the first page of a visit goes back there.
  keepPosition({ case_id: id, position_key: key, first_unread: first }) {
    try {
      if (id) localStorage.setItem(key, id);
      else if (!this.hasResumed) this.resume(localStorage.getItem(key) ?? first);
    } catch {
      if (!id && !this.hasResumed) this.resume(first); // storage is blocked: start with the first unread case
    }
  }

  resume(id) {
    this.hasResumed = true;
    if (id) this.trigger('choose', { case_id: id, resume: true });
  }
}
