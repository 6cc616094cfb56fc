// Keeping what is changed and the time it took: the outbox, its visible state, and what becomes of changes
// that were refused.

import { el, uuid } from './dom.js';
import { buildSeal } from './note_seal.js';
import { Outbox } from './outbox.js';

export class Keeping {
  // panel: {caseId, isEditable, adopt(state), showReading(), say(text, isLasting), stage, clock}, and
  // history where changes can be undone.
  // ways: {noun, send(change), fetch(caseId), redo(change), keepTyped(), refusal(changes)}; the noun is
  // what is changed, and a refusal says why changes cannot be made now.
  constructor(panel, ways) {
    Object.assign(this, { panel, ways, outbox: null, shownReason: '' });
    this.state = el('span', { class: 'sa-saved', role: 'status', 'aria-live': 'polite' });
    this.conflict = el('div', { class: 'sa-conflict', role: 'alert', hidden: true });
  }

  pendingOf(caseId) {
    return this.outbox.pendingOf(caseId);
  }

  add(caseId, base, change) {
    this.outbox.add(caseId, base, { ...change, active_ms: this.panel.clock.take(caseId) });
  }

  // The work on a change that was not saved belongs to the next one.
  returned({ image_id: caseId, active_ms: ms }) {
    this.panel.clock.add(caseId, ms ?? 0);
  }

  retryNow() {
    this.outbox?.retryNow();
  }

  // What is being typed is kept first; the browser asks before something is lost.
  leaving(event) {
    this.ways.keepTyped?.();
    if (this.outbox?.isAtRisk()) event.preventDefault();
  }

  start({ outbox_key: key, note_key: noteKey }) {
    if (!key || this.outbox?.prefix === key) return;
    if (!this.outbox) this.panel.clock.restore(globalThis.sessionStorage, `${key}time`);
    this.outbox = new Outbox({
      prefix: key, clientId: uuid(), storage: localStorageOrNone(), noteStorage: globalThis.sessionStorage,
      seal: buildSeal(noteKey), send: this.ways.send, timers: window,
      listener: {
        state: (name, pending, reason) => this.showSaved(name, pending, reason),
        acknowledged: (edit, state) => edit.image_id === this.panel.caseId && this.panel.adopt(state),
        refusing: () => this.ways.keepTyped?.(),
        refused: (edits, body) => this.outdated(edits, body),
        rejected: (edit, body) => this.rejected(edit, body),
      },
    });
    this.outbox.start();
  }

  showSaved(state, pending, reason) {
    const changes = pending === 1 ? '1 change' : `${pending} changes`;
    const texts = {
      saved: 'Saved', saving: 'Saving …', retrying: `Not saved - retrying (${changes} kept in this browser)`,
      signed_out: `Not saved - sign in again (${changes} kept in this browser)`,
    };
    if (reason !== this.shownReason) this.panel.say(reason, true);
    this.shownReason = reason;
    this.state.dataset.state = state;
    this.state.textContent = texts[state];
    if (this.outbox?.isStorageBroken && pending) this.state.textContent += ' - this browser keeps nothing: do not close the page';
  }

  outdated(edits, body) {
    if (edits[0].image_id !== this.panel.caseId) {
      const many = edits.length === 1 ? 'A change' : `${edits.length} changes`;
      this.panel.say(`${many} to the case you left was not saved: its ${this.ways.noun} was changed elsewhere. Open it again to decide.`, true);
      return;
    }
    this.panel.history?.clear();
    if (body?.reading) this.panel.adopt(body.reading);
    else this.refresh();
    this.panel.showReading();
    this.showConflict();
  }

  async rejected(edit, body) {
    this.returned(edit);
    const reason = body?.message ?? 'the server refused this change';
    if (edit.image_id !== this.panel.caseId) {
      this.panel.say(`A change to another case was not saved: ${reason}`, true);
      return;
    }
    this.panel.history?.clear();
    this.panel.say(`Not saved: ${reason}`, true);
    await this.refresh();
  }

  // Asks the server how it stands, e.g. when the page was built from an older value.
  async refresh() {
    const { caseId } = this.panel;
    const answer = await this.ways.fetch(caseId).catch(() => null);
    if (answer?.status === 200 && this.panel.caseId === caseId) this.panel.adopt(answer.body.reading);
  }

  showConflict() {
    const held = this.panel.caseId ? this.outbox.heldOf(this.panel.caseId) : [];
    this.conflict.hidden = held.length === 0;
    if (!held.length) return;
    const many = held.length === 1 ? 'One change was' : `${held.length} changes were`;
    const button = (text, apply) => el('button', { type: 'button', text, on: { click: () => this.resolve(apply) } });
    this.conflict.replaceChildren(
      el('span', { text: `This ${this.ways.noun} was changed elsewhere (another window?). You see its present state. ${many} not saved.` }),
      button('Make mine again', true), button('Drop mine', false),
    );
  }

  resolve(applyAgain) {
    if (applyAgain && !this.panel.isEditable) {
      this.panel.say(`The ${this.ways.noun} was committed meanwhile. Press Correct first, then make your changes again.`);
      return;
    }
    const reason = applyAgain && this.ways.refusal?.(this.outbox.heldOf(this.panel.caseId));
    if (reason) {
      this.panel.say(`Not made again: ${reason}`);
      return;
    }
    const held = this.outbox.takeHeld(this.panel.caseId);
    held.forEach((edit) => this.returned(edit));
    if (applyAgain) held.forEach((edit) => this.ways.redo(edit));
    this.showConflict();
    this.panel.stage.focus({ preventScroll: true });
  }
}

function localStorageOrNone() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // blocked by the browser; the outbox says so
  }
}
