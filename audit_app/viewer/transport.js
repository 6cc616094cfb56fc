// Requests to the server's own routes. Each resolves to {status, body}; it rejects when no answer came.

const ANSWER_MS = 15_000;
const PIXELS_MS = 120_000;

const auditUrl = (path) => new URL(`audit/${path}`, document.baseURI);

async function request(path, options = {}) {
  const response = await fetch(auditUrl(path), {
    credentials: 'same-origin', redirect: 'error', signal: AbortSignal.timeout(ANSWER_MS), ...options,
  });
  const isJson = response.headers.get('content-type')?.includes('json');
  return { status: response.status, body: isJson ? await response.json() : null };
}

const post = (path, body) => request(path, {
  method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
});

export const sendEdit = ({ image_id: imageId, ...edit }) => post(`readings/${imageId}/edits`, edit);

export const fetchReading = (imageId) => request(`readings/${imageId}`);

export const commitReading = (imageId, baseVersion, activeMs) =>
  post(`readings/${imageId}/commit`, { base_version: baseVersion, active_ms: activeMs });

export const reopenReading = (imageId) => post(`readings/${imageId}/reopen`, {});

async function fetchImage(path) {
  const response = await fetch(auditUrl(path), { credentials: 'same-origin', signal: AbortSignal.timeout(PIXELS_MS) });
  if (response.ok) return response;
  const body = await response.json().catch(() => null);
  throw new Error(body?.message ?? `the server answered ${response.status} when the picture was asked for; reload the page`);
}

export async function fetchPixels(imageId) {
  const response = await fetchImage(`images/${imageId}/pixels`);
  const plain = response.body.pipeThrough(new DecompressionStream('gzip'));
  return new Response(plain).arrayBuffer();
}

export async function fetchPreview(imageId) {
  return createImageBitmap(await (await fetchImage(`images/${imageId}/preview`)).blob());
}

// An adjudication is answered under the name that the outbox knows.
const asReading = ({ status, body }) => ({ status, body: body && { ...body, reading: body.adjudication ?? null } });

export const fetchAdjudication = async (imageId) => asReading(await request(`adjudications/${imageId}`));

export const adjudicate = async (imageId, action, body) => asReading(await post(`adjudications/${imageId}/${action}`, body));

export const sendDecision = ({ image_id: imageId, ...decision }) => adjudicate(imageId, 'decide', decision);

export const askWords = (imageId, question) => post(`images/${imageId}/words`, question);
