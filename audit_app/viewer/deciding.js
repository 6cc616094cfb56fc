// Saving an adjudication: its decisions, commit and correction.

import { Keeping } from './keeping.js';
import * as transport from './transport.js';

export class Deciding extends Keeping {
  constructor(panel) {
    super(panel, {
      noun: 'adjudication', send: transport.sendDecision, fetch: transport.fetchAdjudication,
      redo: ({ parent_id, region_id, decision, region }) => panel.perform({ parent_id, region_id, decision, region }),
    });
    this.acting = new Set();
  }

  // 'commit' or 'reopen', once at a time for each picture.
  async act(action) {
    const { caseId, meta: { name } } = this.panel;
    if (this.acting.has(caseId)) return;
    this.acting.add(caseId);
    try {
      await this.actOnceSaved(action, caseId, name);
    } finally {
      this.acting.delete(caseId);
    }
  }

  // Once every decision on this picture was answered.
  async actOnceSaved(action, caseId, name) {
    if (this.outbox.heldOf(caseId).length) return this.panel.say('Decide first about the changes that were not saved.');
    if (this.pendingOf(caseId).length) this.panel.say('This waits until every decision is saved …', true);
    await this.outbox.flushed(caseId);
    if (this.panel.caseId !== caseId) return this.panel.say(`${name} was not committed: it was left while the commit waited. Open it and commit again.`, true);
    if (this.outbox.heldOf(caseId).length) return this.panel.say('Not done: decide first about the changes that were not saved.', true);
    return this.send(action, caseId, name);
  }

  async send(action, caseId, name) {
    const isCommit = action === 'commit';
    const { version } = this.panel.state;
    const ms = isCommit ? this.panel.clock.take(caseId) : 0;
    const body = isCommit ? { base_version: version, active_ms: ms } : {};
    const answer = await transport.adjudicate(caseId, action, body).catch(() => null);
    const isOpen = this.panel.caseId === caseId;
    if (answer?.body?.ok) {
      if (isOpen) this.panel.adopt(answer.body.reading);
      return this.done(caseId);
    }
    this.panel.say(`${isOpen ? '' : `${name}: `}Not saved: ${answer?.body?.message ?? 'the server did not answer; try again'}`, true);
    if (isOpen) await this.refresh();
    // The commit may have arrived although its answer did not.
    if (isCommit && this.panel.caseId === caseId && !this.panel.state.is_open && this.panel.state.version === version) return this.done(caseId);
    return this.panel.clock.add(caseId, ms);
  }

  done(caseId) {
    if (this.panel.caseId === caseId) this.panel.say('');
    this.panel.trigger('changed', { case_id: caseId });
  }
}
