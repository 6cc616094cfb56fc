// Free words: the map follows as one types, with the words' score among those of the findings.

import { el } from './dom.js';
import { Asker } from './ask.js';
import { askWords } from './transport.js';

const MOST_KEPT = 8;

export class WordsView {
  constructor(panel) {
    Object.assign(this, { panel, panes: [], kept: [], answer: null, key: '' });
    this.asker = new Asker({
      ask: (question) => ask(question),
      onAnswer: (_question, answer) => this.take(answer),
      onError: (_question, error) => this.say(error.message, true),
      onBusy: (isBusy) => this.busy(isBusy),
    });
    this.input = el('input', { type: 'text', class: 'sa-words-input', maxlength: 300, placeholder: 'Type any words, for instance: fluid at the right lung base', 'aria-label': 'Words to ask the model', spellcheck: 'false', autocomplete: 'off', on: { input: () => this.typed(), keydown: (event) => this.keydown(event) } });
    this.state = el('span', { class: 'sa-words-state', role: 'status', 'aria-live': 'polite' });
    this.keep = el('button', { type: 'button', class: 'sa-tool', text: 'Keep in the list', title: 'Keep these words in the list (Enter)', on: { click: () => this.keepAnswer() } });
    this.board = el('div', { class: 'sa-board' });
    this.ranking = el('ol', { class: 'sa-ranking', 'aria-label': 'Scores of findings and words' });
    this.problem = el('p', { class: 'sa-view-problem', hidden: true });
    this.instead = el('p', { class: 'sa-quiet', hidden: true });
    this.scores = el('aside', { class: 'sa-scores' }, el('h3', { text: 'Score among the findings (cosine)' }), this.ranking);
    this.root = el('div', { class: 'sa-view' },
      el('div', { class: 'sa-view-bar' }, this.input, this.keep, this.state), this.problem, this.instead,
      el('div', { class: 'sa-words' }, this.board, this.scores));
  }

  show({ problem, pane, text, method }, context) {
    if (this.method !== method) this.answer = null;
    Object.assign(this, { context, method });
    this.sayInstead(context.options);
    const key = [context.caseId, context.reader, context.options.model].join('|');
    const isNew = key !== this.key;
    if (isNew) Object.assign(this, { key, kept: [], answer: null });
    this.problem.textContent = problem;
    this.problem.hidden = !problem;
    this.input.disabled = Boolean(problem);
    for (const part of [this.board, this.scores, this.keep]) part.hidden = Boolean(problem);
    if (problem) {
      this.asker.stop();
      this.panel.setPanes(this, this.board, 0);
      return;
    }
    this.panel.setPanes(this, this.board, 2);
    this.panes[1].show(pane, context);
    if (!this.input.value) this.input.value = text;
    this.showAnswer();
    const question = [key, context.finding, method].join('|');
    if (this.asked !== question) this.typed(0);
    this.asked = question;
  }

  // The chosen method may have no maps of free words.
  sayInstead({ methods, method }) {
    const title = (wanted) => methods.find(({ name }) => name === wanted)?.title;
    this.instead.hidden = !this.method || this.method === method;
    this.instead.textContent = `${title(method)} cannot be asked for free words; these are maps of ${title(this.method)}.`;
  }

  typed(pauseMs) {
    const text = this.input.value.trim();
    if (!text) {
      this.asker.stop();
      this.answer = null;
      this.showAnswer();
      this.say('');
      return;
    }
    const { caseId, reader, finding, options } = this.context;
    this.asker.want({ imageId: caseId, reader, finding, model: options.model, method: this.method, text }, pauseMs);
  }

  keydown(event) {
    event.stopPropagation(); // letters are text here, not commands of the panel
    if (event.key === 'Enter') this.keepAnswer();
  }

  busy(isBusy) {
    this.state.classList.toggle('sa-waiting', isBusy);
    if (isBusy && !this.answer) this.say('asking the model; the first words take a few seconds');
    else if (!isBusy) this.say('');
  }

  say(text, isBad = false) {
    this.state.textContent = text;
    this.state.classList.toggle('sa-bad', isBad);
  }

  take(answer) {
    this.answer = answer;
    this.say('');
    this.showAnswer();
  }

  keepAnswer() {
    if (!this.answer || this.kept.some(({ name }) => name === this.answer.text)) return;
    this.kept = [{ name: this.answer.text, score: this.answer.score }, ...this.kept].slice(0, MOST_KEPT);
    this.showAnswer();
  }

  showAnswer() {
    const { answer } = this;
    this.keep.disabled = !answer || this.kept.some(({ name }) => name === answer.text);
    const empty = { title: 'Own words', subtitle: this.input.value.trim() ? 'asking the model ...' : 'type words above to see where the model looks for them', heat: null, numbers: [], caption: [], is_waiting: Boolean(this.input.value.trim()) };
    this.panes[0]?.show(answer ? answer.pane : empty, this.context);
    this.panel.applyStyle();
    this.showRanking();
  }

  showRanking() {
    const rows = rankedScores(this.answer, this.kept);
    const [low, high] = [Math.min(...rows.map(({ score }) => score)), Math.max(...rows.map(({ score }) => score))];
    this.ranking.replaceChildren(...rows.map(({ name, score, kind }) => {
      const bar = el('span', { class: 'sa-bar' });
      bar.style.width = `${high > low ? 4 + 96 * ((score - low) / (high - low)) : 50}%`;
      const text = el('span', { class: 'sa-name', text: kind === 'finding' ? name : `“${name}”`, title: name });
      const row = el('li', { class: `sa-rank-${kind}`, 'aria-current': kind === 'asked' ? 'true' : null }, text, el('span', { class: 'sa-bar-room' }, bar), el('span', { class: 'sa-rank-score', text: score.toFixed(3) }));
      if (kind === 'kept') row.addEventListener('click', () => this.askAgain(name));
      return row;
    }));
  }

  askAgain(name) {
    this.input.value = name;
    this.typed(0);
  }

  redraw() {}

  sheet() {
    const shown = this.panes.filter(({ pane }) => pane?.heat);
    const rows = rankedScores(this.answer, this.kept).map(({ name, score, kind }) => `${kind === 'finding' ? name : `"${name}"`} ${score.toFixed(3)}`);
    return { panes: shown, columns: Math.max(1, shown.length), caption: rows.length ? [`Scores (cosine): ${rows.join('; ')}.`] : [] };
  }

  dispose() {
    this.asker.stop();
    this.panel.setPanes(this, this.board, 0);
    this.root.remove();
  }
}

// Findings, kept words and the present ones together, the highest score first.
export function rankedScores(answer, kept) {
  if (!answer) return [];
  const others = kept.filter(({ name }) => name !== answer.text);
  return [
    ...answer.scores.map((one) => ({ ...one, kind: 'finding' })),
    ...others.map((one) => ({ ...one, kind: 'kept' })),
    { name: answer.text, score: answer.score, kind: 'asked' },
  ].sort((a, b) => b.score - a.score);
}

async function ask({ imageId, ...question }) {
  const { body, status } = await askWords(imageId, question);
  if (body?.ok) return body;
  throw new Error(body?.message ?? `the server answered ${status}; try again or reload the page`);
}
