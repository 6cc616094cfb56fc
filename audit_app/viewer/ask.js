// Questions asked while somebody types: only after a pause, one at a time, the newest wins.

// ask(question) resolves to an answer; {is_waiting: true} in it means that the same question should be
// asked again a little later. onAnswer(question, answer), onError(question, error).
export class Asker {
  constructor({ ask, onAnswer, onError, onBusy = () => {}, pauseMs = 250, againMs = 300, timers = globalThis }) {
    Object.assign(this, { ask, onAnswer, onError, onBusy, pauseMs, againMs, timers });
    Object.assign(this, { wanted: null, isAsking: false, timer: null });
  }

  // Ask this soon; what was wanted before and was not asked yet is forgotten.
  want(question, pauseMs = this.pauseMs) {
    this.wanted = question;
    this.later(pauseMs);
  }

  stop() {
    this.wanted = null;
    this.timers.clearTimeout(this.timer);
    this.onBusy(false);
  }

  later(ms) {
    this.timers.clearTimeout(this.timer);
    this.timer = this.timers.setTimeout(() => this.send(), ms);
  }

  async send() {
    if (this.isAsking || this.wanted === null) return;
    const question = this.wanted;
    this.isAsking = true;
    this.onBusy(true);
    try {
      const answer = await this.ask(question);
      if (this.wanted === question) this.take(question, answer);
    } catch (error) {
      if (this.wanted === question) this.fail(question, error);
    } finally {
      this.isAsking = false;
      if (this.wanted !== null && this.wanted !== question) this.later(0);
    }
  }

  take(question, answer) {
    if (answer.is_waiting) {
      this.later(this.againMs);
      return;
    }
    this.wanted = null;
    this.onBusy(false);
    this.onAnswer(question, answer);
  }

  fail(question, error) {
    this.wanted = null;
    this.onBusy(false);
    this.onError(question, error);
  }
}
