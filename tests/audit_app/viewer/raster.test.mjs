import assert from 'node:assert/strict';
import test from 'node:test';
import { asPixels, PixelCache, sha256 } from '../../../audit_app/viewer/pixels.js';
import { halved, Raster } from '../../../audit_app/viewer/raster.js';
import { commandOf, comboOf, COMMANDS, keyNames } from '../../../audit_app/viewer/keys.js';

test('halving averages two by two without overflow', () => {
  const { pixels, width, height } = halved(Uint16Array.from([65535, 65535, 0, 4, 65535, 65535, 8, 0]), 4, 2);
  assert.deepEqual([...pixels], [65535, 3]);
  assert.deepEqual([width, height], [2, 1]);
});

test('an odd last row and column stand for themselves', () => {
  const { pixels, width, height } = halved(Uint8Array.from([1, 1, 7, 1, 1, 7, 9, 9, 100]), 3, 3);
  assert.deepEqual([...pixels], [1, 7, 9, 100]);
  assert.deepEqual([width, height], [2, 2]);
});

test('the level that is drawn has a pixel for each pixel of the screen', () => {
  const raster = new Raster(new Uint8Array(2900 * 2001), 2900, 2001);
  assert.deepEqual(raster.levels.map(({ width }) => width), [2900, 1450, 725, 363]);
  assert.equal(raster.levelFor(1).width, 2900);
  assert.equal(raster.levelFor(0.6).width, 2900);
  assert.equal(raster.levelFor(0.5).width, 1450);
  assert.equal(raster.levelFor(0.01).width, 363);
});

test('one and two bytes for each pixel are told apart by the length', () => {
  const picture = { case_id: 'c', width: 3, height: 2 };
  assert.ok(asPixels(new ArrayBuffer(6), picture) instanceof Uint8Array);
  assert.deepEqual([...asPixels(new Uint8Array([1, 2, 0, 1, 0, 0, 0, 0, 0, 0, 255, 255]).buffer, picture)], [513, 256, 0, 0, 0, 65535]);
  assert.throws(() => asPixels(new ArrayBuffer(7), picture), /7 bytes; expected 1 or 2/);
});

test('a hash is the one of sha256sum', async () => {
  assert.equal(await sha256(new TextEncoder().encode('abc')), 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad');
});

test('pixels are asked for once, kept by bytes, and again after a failure', async () => {
  const asked = [];
  let isBroken = false;
  const cache = new PixelCache({
    limitBytes: 300,
    fetchPixels: async (id) => { asked.push(id); if (isBroken) throw new Error('gone'); return new ArrayBuffer(100); },
  });
  const picture = (id) => ({ case_id: id, width: 10, height: 10 });
  await Promise.all([cache.get(picture('a')), cache.get(picture('a'))]);
  for (const id of ['b', 'c', 'd']) await cache.get(picture(id));
  assert.deepEqual(asked, ['a', 'b', 'c', 'd']);
  assert.ok(cache.cases.size <= 3);
  await cache.get(picture('d'));
  assert.equal(asked.length, 4);
  isBroken = true;
  await assert.rejects(cache.get(picture('e')), /gone/);
  isBroken = false;
  await cache.get(picture('e'));
  assert.deepEqual(asked.slice(4), ['e', 'e']);
});

const press = (key, modifiers = {}) => ({ key, ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...modifiers });

test('keys mean the same with capital letters, on a Mac, and where Shift makes the sign', () => {
  assert.equal(comboOf(press('Z', { ctrlKey: true, shiftKey: true })), 'ctrl+shift+z');
  assert.equal(commandOf(press('z', { metaKey: true })), 'undo');
  assert.equal(commandOf(press('?', { shiftKey: true })), 'help');
  assert.equal(commandOf(press('P', { shiftKey: true })), 'previous_preset');
  assert.equal(commandOf(press('ArrowLeft', { shiftKey: true })), 'nudge');
  assert.equal(commandOf(press('ArrowLeft', { ctrlKey: true, shiftKey: true })), 'resize');
  assert.equal(commandOf(press('x')), null);
  assert.equal(commandOf(press('f', { ctrlKey: true })), null);
});

test('every command has one meaning and every key a name', () => {
  assert.ok(COMMANDS.size > 40);
  assert.deepEqual(keyNames(['ctrl+shift+z', '+', 'arrowleft']), ['Ctrl Shift Z', '+', '←']);
});
