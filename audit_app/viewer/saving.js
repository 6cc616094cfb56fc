// Keeping what the reader does: the outbox and its visible state, conflicts, commit and correction.

import { el, uuid } from './dom.js';
import { Outbox } from './outbox.js';
import * as transport from './transport.js';

const WAITS = 'The commit waits until every change is saved …';

export class Saving {
  constructor(panel) {
    Object.assign(this, { panel, outbox: null, committing: new Set(), leftBehind: '' });
    this.state = el('span', { class: 'sa-saved', role: 'status', 'aria-live': 'polite' });
    this.conflict = el('div', { class: 'sa-conflict', role: 'alert', hidden: true });
  }

  pendingOf(caseId) {
    return this.outbox.pendingOf(caseId);
  }

  add(caseId, base, change) {
    this.outbox.add(caseId, base, change);
  }

  retryNow() {
    this.outbox?.retryNow();
  }

  start({ outbox_key: key }) {
    if (!key || this.outbox?.prefix === key) return;
    this.outbox = new Outbox({
      prefix: key, clientId: uuid(), storage: localStorageOrNone(), noteStorage: globalThis.sessionStorage,
      send: transport.sendEdit, timers: window,
      listener: {
        state: (name, pending) => this.showSaved(name, pending),
        acknowledged: (edit, reading) => edit.image_id === this.panel.caseId && this.panel.adopt(reading),
        refused: (edits, body) => this.outdated(edits, body),
        rejected: (edit, body) => this.rejected(edit, body),
      },
    });
    this.outbox.start();
  }

  showSaved(state, pending) {
    const changes = pending === 1 ? '1 change' : `${pending} changes`;
    const texts = {
      saved: 'Saved', saving: 'Saving …', retrying: `Not saved - retrying (${changes} kept in this browser)`,
      signed_out: `Not saved - sign in again (${changes} kept in this browser)`,
    };
    this.state.dataset.state = state;
    this.state.textContent = texts[state];
    if (this.outbox?.isStorageBroken && pending) this.state.textContent += ' - this browser keeps nothing: do not close the page';
  }

  outdated(edits, body) {
    if (edits[0].image_id !== this.panel.caseId) {
      const many = edits.length === 1 ? 'A change' : `${edits.length} changes`;
      this.panel.say(`${many} to the case you left was not saved: its reading was changed elsewhere. Open it again to decide.`, true);
      return;
    }
    this.panel.history.clear();
    if (body?.reading) this.panel.adopt(body.reading);
    this.panel.showReading();
    this.showConflict();
  }

  async rejected(edit, body) {
    const reason = body?.message ?? 'the server refused this change';
    if (edit.image_id !== this.panel.caseId) {
      this.panel.say(`A change to another case was not saved: ${reason}`, true);
      return;
    }
    this.panel.history.clear();
    this.panel.say(`Not saved: ${reason}`, true);
    await this.refresh();
  }

  // Asks the server how the reading stands, e.g. when the page was built from an older value.
  async refresh() {
    const { caseId } = this.panel;
    const answer = await transport.fetchReading(caseId).catch(() => null);
    if (answer?.status === 200 && this.panel.caseId === caseId) this.panel.adopt(answer.body.reading);
  }

  showConflict() {
    const held = this.panel.caseId ? this.outbox.heldOf(this.panel.caseId) : [];
    this.conflict.hidden = held.length === 0;
    if (!held.length) return;
    const many = held.length === 1 ? 'One change was' : `${held.length} changes were`;
    const button = (text, apply) => el('button', { type: 'button', text, on: { click: () => this.resolve(apply) } });
    this.conflict.replaceChildren(
      el('span', { text: `This reading was changed elsewhere (another window?). You see its present state. ${many} not saved.` }),
      button('Make mine again', true), button('Drop mine', false),
    );
  }

  resolve(applyAgain) {
    if (applyAgain && !this.panel.isEditable) {
      this.panel.say('The reading was committed meanwhile. Press Correct first, then make your changes again.');
      return;
    }
    const held = this.outbox.takeHeld(this.panel.caseId);
    if (applyAgain) for (const { kind, region, region_id: id, no_finding: none } of held) this.redoHeld({ kind, region, region_id: id, no_finding: none });
    this.showConflict();
    this.panel.stage.focus({ preventScroll: true });
  }

  redoHeld(change) {
    const isGone = change.kind === 'delete' && !this.panel.model.region(change.region_id);
    if (!isGone) this.panel.edit(change);
  }

  async commit() {
    const { caseId } = this.panel;
    if (!this.panel.isEditable) return;
    if (this.committing.has(caseId)) return this.panel.say(WAITS, true);
    if (this.outbox.heldOf(caseId).length) return this.panel.say('Decide first about the changes that were not saved.');
    if (!this.panel.model.regions.length && !this.panel.model.no_finding) {
      return this.panel.say('Mark what you see, or choose No Finding, before the commit.');
    }
    const unsaid = this.panel.model.regions.find((region) => !region.certainty);
    if (unsaid) {
      this.panel.viewer.select(unsaid.region_id, { withFocus: true });
      return this.panel.say(`Say first how certain ${unsaid.finding} is: Q definite, W probable, E possible.`);
    }
    this.committing.add(caseId); // each case on its own: one may wait long for a server that is gone
    try {
      await this.commitOnceSaved(caseId, this.panel.meta.name);
    } finally {
      this.committing.delete(caseId);
    }
  }

  async commitOnceSaved(caseId, name) {
    if (this.outbox.pendingOf(caseId).length) this.panel.say(WAITS, true);
    await this.outbox.flushed(caseId);
    if (this.panel.caseId !== caseId) {
      this.leftBehind = `${name} was not committed: it was left while the commit waited. Open it and commit again.`;
      this.panel.say(this.leftBehind, true);
    } else if (this.outbox.heldOf(caseId).length) {
      this.panel.say('Not committed: decide first about the changes that were not saved.', true);
    } else await this.sendCommit(caseId);
  }

  async sendCommit(caseId) {
    const version = this.panel.model?.version;
    // An earlier attempt may have arrived although its answer did not.
    const isDone = (reading) => !reading.is_open && reading.version === version;
    await this.act(caseId, () => transport.commitReading(caseId, version), 'The commit was not saved', isDone);
  }

  async correct() {
    const { caseId } = this.panel;
    if (this.panel.mayEdit && this.panel.model && !this.panel.model.is_open) {
      await this.act(caseId, () => transport.reopenReading(caseId), 'The reading could not be opened again');
    }
  }

  async act(caseId, request, failure, isDone = () => false) {
    const { name } = this.panel.meta;
    const answer = await request().catch(() => null);
    if (this.panel.caseId !== caseId) return this.actedOnLeft(caseId, answer, `${name}: ${failure}`);
    this.panel.say(this.leftBehind, true); // the end of this commit must not hide that of another
    this.leftBehind = '';
    const reading = answer?.body?.reading;
    if (reading) {
      this.panel.history.clear();
      this.panel.adopt(reading);
    }
    if (answer?.body?.texts) this.panel.sidebar.setTexts(answer.body.texts); // a commit opens the report
    if (answer?.body?.ok || (reading && isDone(reading))) this.panel.trigger('changed', { case_id: caseId });
    else this.panel.say(`${failure}: ${answer?.body?.message ?? 'the server did not answer; try again'}`, true);
  }

  // The answer came after the case was left: the worklist must know, or the reader.
  actedOnLeft(caseId, answer, failure) {
    if (answer?.body?.ok) this.panel.trigger('changed', { case_id: caseId });
    else this.panel.say(`${failure}: ${answer?.body?.message ?? 'the server did not answer'}. Open it and try again.`, true);
  }
}

function localStorageOrNone() {
  try {
    return globalThis.localStorage;
  } catch {
    return null; // blocked by the browser; the outbox says so
  }
}
