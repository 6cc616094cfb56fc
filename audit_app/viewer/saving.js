// Saving a reading: its edits, commit and correction.

import { Keeping } from './keeping.js';
import * as transport from './transport.js';

const WAITS = 'The commit waits until every change is saved …';

export class Saving extends Keeping {
  constructor(panel) {
    super(panel, {
      noun: 'reading', send: transport.sendEdit, fetch: transport.fetchReading, redo: (edit) => this.redo(edit),
      keepTyped: () => panel.sidebar.keepNote(), refusal: (edits) => panel.model.refusalOf(edits),
    });
    Object.assign(this, { committing: new Set(), leftBehind: '' });
  }

  redo({ kind, region, region_id: id, no_finding: none }) {
    const isGone = kind === 'delete' && !this.panel.model.region(id);
    if (!isGone) this.panel.edit({ kind, region, region_id: id, no_finding: none });
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
    const ms = this.panel.clock.take(caseId);
    // An earlier attempt may have arrived although its answer did not.
    const isDone = (reading) => !reading.is_open && reading.version === version;
    const isKept = await this.act(caseId, () => transport.commitReading(caseId, version, ms), 'The commit was not saved', isDone);
    if (!isKept) this.panel.clock.add(caseId, ms);
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
    const isKept = answer?.body?.ok || (reading && isDone(reading));
    if (isKept) this.panel.trigger('changed', { case_id: caseId });
    else this.panel.say(`${failure}: ${answer?.body?.message ?? 'the server did not answer; try again'}`, true);
    return isKept;
  }

  // The answer came after the case was left: the worklist must know, or the reader.
  actedOnLeft(caseId, answer, failure) {
    if (answer?.body?.ok) this.panel.trigger('changed', { case_id: caseId });
    else this.panel.say(`${failure}: ${answer?.body?.message ?? 'the server did not answer'}. Open it and try again.`, true);
    return Boolean(answer?.body?.ok);
  }
}
