// One adjudication as the page shows it: what the server said, plus the decisions that it has not answered.

// A state of the server with these decisions made on it; ``nextBase`` is the version of the next one.
export function withDecisions(state, decisions) {
  return decisions.reduce(decided, { ...state, nextBase: state.version });
}

// As the server will say it: the same region once more takes the place of what came of it before.
export function decided(state, { parent_id: parentId, region_id: regionId, decision, region: edited }) {
  const original = state.parents.find((parent) => parent.parent_id === parentId)?.regions.find((one) => one.region_id === regionId);
  const next = { ...state, nextBase: state.nextBase + 1 };
  if (!original) return next;
  const id = original.result_id;
  const source = { accept: original, edit: edited }[decision];
  const result = source && { ...bare(source), region_id: id, note: source.note ?? original.note };
  const said = decision === 'edit' && isSame(result, original) ? 'accept' : decision;
  next.regions = [...state.regions.filter((one) => one.region_id !== id), ...(result ? [result] : [])];
  next.parents = state.parents.map((parent) => (parent.parent_id !== parentId ? parent : {
    ...parent, regions: parent.regions.map((one) => (one === original ? { ...one, decision: said } : one)),
  }));
  next.undecided = next.parents.flatMap((parent) => parent.regions).filter((one) => !one.decision).length;
  return next;
}

// What the server takes of a region.
export const bare = ({ region_id, finding, certainty, box, note, shape }) => ({ region_id, finding, certainty, box, note, shape });

const isSame = (result, original) =>
  JSON.stringify(bare(result)) === JSON.stringify({ ...bare(original), region_id: result.region_id });
