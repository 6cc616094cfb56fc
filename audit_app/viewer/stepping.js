// Asking for the case before or after the open one.

const ANSWER_MS = 4000;
const TRIES = 4;

export class Stepping {
  // panel: {caseId, trigger(event, data)}
  constructor(panel) {
    Object.assign(this, { panel, isWaiting: false });
  }

  step(by) {
    if (this.panel.caseId && !this.isWaiting) this.ask(by, this.panel.caseId, TRIES);
  }

  // Made again while it has no answer: Gradio may lose an event.
  ask(by, from, triesLeft) {
    this.isWaiting = true;
    this.timer = setTimeout(() => {
      this.isWaiting = false;
      if (triesLeft && this.panel.caseId === from) this.ask(by, from, triesLeft - 1);
    }, ANSWER_MS);
    this.panel.trigger('step', { case_id: from, step: by });
  }

  answered() {
    clearTimeout(this.timer);
    this.isWaiting = false;
  }
}
