if (window.OmnibusChat) return;

const script = document.currentScript || document.querySelector('script[src*="/widget.js"]');
const data = script.dataset;
const base = new URL('.', script.src).href;
const ownOrigin = new URL(base).origin === location.origin;
const store = 'omnibus:' + base + ':' + (data.userId || '') + ':';

const locale = data.lang || navigator.language || 'en';
const lang = WORDS[locale.slice(0, 2).toLowerCase()] ? locale.slice(0, 2).toLowerCase() : 'en';
const T = WORDS[lang];
const rtl = (data.dir || document.documentElement.dir || '').toLowerCase() === 'rtl';

// --- small tools ----------------------------------------------------------------------------

function h(tag, props) {
  const el = document.createElement(tag);
  Object.keys(props || {}).forEach((name) => {
    const value = props[name];
    if (name.slice(0, 2) === 'on') el.addEventListener(name.slice(2), value);
    else if (name === 'text') el.textContent = value;
    else if (value !== null && value !== undefined && value !== false) el.setAttribute(name, value === true ? '' : value);
  });
  for (let i = 2; i < arguments.length; i++) if (arguments[i]) el.appendChild(arguments[i]);
  return el;
}

function icon(path) {
  const ns = 'http://www.w3.org/2000/svg';
  const svg = document.createElementNS(ns, 'svg');
  svg.setAttribute('viewBox', '0 0 24 24');
  svg.setAttribute('aria-hidden', 'true');
  svg.setAttribute('focusable', 'false');
  const shape = document.createElementNS(ns, 'path');
  shape.setAttribute('d', path);
  svg.appendChild(shape);
  return svg;
}

const ICON = {
  chat: 'M4 4h16a2 2 0 0 1 2 2v10a2 2 0 0 1-2 2H9l-5 4V18a2 2 0 0 1-2-2V6a2 2 0 0 1 2-2z',
  close: 'M6.4 5 12 10.6 17.6 5 19 6.4 13.4 12l5.6 5.6-1.4 1.4L12 13.4 6.4 19 5 17.6l5.6-5.6L5 6.4z',
  send: 'M3 20.5v-6.6L13 12 3 10.1V3.5L22 12z',
  clip: 'M16.5 6v11.2a4.3 4.3 0 0 1-8.6 0V5.3a2.8 2.8 0 0 1 5.6 0v10.5a1.2 1.2 0 0 1-2.4 0V6H9.6v9.8a2.7 2.7 0 0 0 5.4 0V5.3a4.3 4.3 0 0 0-8.6 0v11.9a5.8 5.8 0 0 0 11.6 0V6z',
  clock: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zm0 2a7 7 0 1 1 0 14 7 7 0 0 1 0-14zm-1 2v6l4.2 2.5.8-1.3-3.4-2V7z',
  one: 'M9.5 17.6 4 12.1l1.4-1.4 4.1 4.1 9.1-9.1L20 7.1z',
  two: 'M7.3 17.6 1.8 12.1l1.4-1.4 4.1 4.1 9.1-9.1 1.4 1.4zm5.6 0-1.9-1.9 1.4-1.4.5.5 9.1-9.1 1.4 1.4z',
  file: 'M6 2h8l5 5v13a2 2 0 0 1-2 2H6a2 2 0 0 1-2-2V4a2 2 0 0 1 2-2zm7 1.5V8h4.5z'
};

function memory(area) {
  // Reading the property alone throws where storage is blocked.
  try { return window[area]; } catch (blocked) { return null; }
}
function load(area, name) {
  try { return memory(area).getItem(store + name); } catch (blocked) { return null; }
}
function save(area, name, value) {
  try { memory(area).setItem(store + name, value); } catch (blocked) { /* works without, until the page is left */ }
}

function newId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.prototype.map.call(bytes, (b) => (b + 256).toString(16).slice(1)).join('');
}

function safeUrl(text, protocols) {
  try {
    const url = new URL(text, base);
    return (protocols || ['http:', 'https:']).indexOf(url.protocol) < 0 ? null : url.href;
  } catch (invalid) { return null; }
}

function clockTime(ms) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  return new Intl.DateTimeFormat(locale, today ? { timeStyle: 'short' } : { timeStyle: 'short', dateStyle: 'medium' }).format(at);
}

function inkOn(color) {
  const channel = (at) => {
    const v = parseInt(color.slice(at, at + 2), 16) / 255;
    return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4);
  };
  const luminance = 0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5);
  return luminance > 0.179 ? '#000000' : '#ffffff';
}

// --- state ----------------------------------------------------------------------------------

const items = new Map();          // id -> {entry, el, state}
const answered = new Map();       // id of a question -> words of the answer
let outbox = [];                // frames not yet acknowledged, oldest first
let inFlight = null;            // id of the one that is on its way
let look = { max_text_chars: 4000, max_file_size: 0, file_types: [] };
let token = ownOrigin ? null : load('localStorage', 'token');
const reported = { delivered: load('localStorage', 'delivered') || '', read: load('localStorage', 'read') || '' };
const told = new Map();           // id -> what we have reported of an entry: '', 'delivered', 'read'
let session = null, socket = null, welcomed = false, refused = false, lastKey = null;
let attempts = 0, reconnectTimer = 0, pingTimer = 0, pongTimer = 0, typingTimer = 0, resendTimer = 0;
let isOpen = false, started = false, opener = null;

// --- looks ----------------------------------------------------------------------------------

const host = document.createElement('omnibus-chat');
const root = host.attachShadow({ mode: 'open' });
try {
  // Unlike a style element, a constructed sheet needs no permission in the page's Content-Security-Policy.
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(CSS);
  root.adoptedStyleSheets = [sheet];
} catch (older) {
  root.appendChild(h('style', { text: CSS, nonce: script.nonce }));
}

const badge = h('span', { class: 'badge', hidden: true, 'aria-hidden': 'true' });
const launcher = h('button', { class: 'launcher', type: 'button', 'aria-expanded': 'false', 'aria-haspopup': 'dialog',
  'aria-controls': 'panel', 'aria-label': T.open, onclick: toggle }, icon(ICON.chat), icon(ICON.close), badge);
const heading = h('h2', { id: 'title', text: data.title || T.title });
const status = h('p', { class: 'status', role: 'status', hidden: true });
const log = h('div', { class: 'log', role: 'log', 'aria-live': 'polite', 'aria-label': T.log, tabindex: '0' });
const older = h('button', { class: 'older', type: 'button', hidden: true, text: T.earlier, onclick: askOlder });
const typing = h('div', { class: 'typing', 'aria-live': 'polite', hidden: true });
const notice = h('p', { class: 'notice', role: 'alert', hidden: true });
const input = h('textarea', { rows: '1', 'aria-label': T.write, placeholder: T.write, dir: 'auto', enterkeyhint: 'send',
  oninput: grow, onkeydown: enterSends, onpaste: pasteFiles });
const picker = h('input', { type: 'file', hidden: true, tabindex: '-1', onchange: () => { upload(picker.files); picker.value = ''; } });
const clip = h('button', { class: 'icon', type: 'button', hidden: true, 'aria-label': T.attach, title: T.attach,
  onclick: () => { picker.click(); } }, icon(ICON.clip));
const sendButton = h('button', { class: 'icon send', type: 'submit', disabled: true, 'aria-label': T.send, title: T.send }, icon(ICON.send));
const panel = h('section', { class: 'panel', id: 'panel', role: 'dialog', 'aria-modal': 'true', 'aria-labelledby': 'title', hidden: true, onkeydown: panelKeys },
  h('header', null, h('div', null, heading, status),
    h('button', { class: 'icon', type: 'button', 'aria-label': T.close, title: T.close, onclick: close }, icon(ICON.close))),
  log, typing, notice,
  h('form', { onsubmit: (event) => { event.preventDefault(); submit(); } }, clip, picker, input, sendButton));
const greeting = h('div', { class: 'm' }, h('div', { class: 'bubble', dir: 'auto', text: data.greeting || T.greeting }));
log.appendChild(older);
log.appendChild(greeting);
const frame = h('div', { dir: rtl ? 'rtl' : 'ltr', lang: lang, class: data.position === 'left' ? 'left' : '' }, panel, launcher);
root.appendChild(frame);
paint(data.color);

function paint(color) {
  if (!/^#[0-9a-f]{6}$/i.test(color || '')) return;
  host.style.setProperty('--main', color);
  host.style.setProperty('--ink', inkOn(color));
}

// --- opening and closing --------------------------------------------------------------------

function toggle() { if (isOpen) close(); else open(); }

function open() {
  if (isOpen) return;
  isOpen = true;
  const before = document.activeElement;
  opener = before && before !== document.body && before !== host ? before : launcher;
  panel.hidden = false;
  frame.classList.add('covered');
  launcher.setAttribute('aria-expanded', 'true');
  launcher.setAttribute('aria-label', T.close);
  input.focus();
  toEnd();
  start();
  noteRead();
}

function close() {
  if (!isOpen) return;
  isOpen = false;
  panel.hidden = true;
  frame.classList.remove('covered');
  launcher.setAttribute('aria-expanded', 'false');
  opener.focus();
  showUnread();
}

function panelKeys(event) {
  if (event.key === 'Escape') { event.stopPropagation(); close(); return; }
  if (event.key !== 'Tab') return;
  const stops = Array.prototype.filter.call(panel.querySelectorAll('button,a[href],textarea,audio,video,[tabindex="0"]'), (el) => {
    return !el.disabled && el.offsetParent !== null;
  });
  const edge = event.shiftKey ? stops[0] : stops[stops.length - 1];
  if (root.activeElement !== edge) return;
  event.preventDefault();
  stops[event.shiftKey ? stops.length - 1 : 0].focus();
}

// --- the list -------------------------------------------------------------------------------

function show(entry, state) {
  const known = items.get(entry.id);
  if (known && known.state !== 'waiting' && known.state !== 'sent' && known.state !== 'failed') return known;
  if (known) { settle(known, entry, state); return known; }
  const item = { entry: entry, state: state, el: null };
  items.set(entry.id, item);
  if (entry.in_reply_to) closeQuestion(entry.in_reply_to, entry.text || '');
  item.el = draw(item);
  place(item);
  greeting.hidden = true;
  return item;
}

function settle(item, entry, state) {
  item.entry = Object.assign({}, item.entry, entry);
  item.state = state;
  drawMeta(item);
  place(item);
}

function place(item) {
  // Entries are sorted by key; what has none yet was written last.
  let next = null;
  const last = log.lastElementChild;
  for (let el = last; el && el.omnibusKey !== undefined; el = el.previousElementSibling) {
    if (el === item.el) continue;
    if (el.omnibusKey <= keyOf(item)) break;
    next = el;
  }
  const atEnd = nearEnd();
  item.el.omnibusKey = keyOf(item);
  if (!(item.el.parentNode && item.el.nextElementSibling === next)) log.insertBefore(item.el, next);
  if (atEnd || item.entry.author === 'visitor') toEnd();
}

function keyOf(item) { return item.entry.key || '~'; }
function nearEnd(slack) { return log.scrollHeight - log.scrollTop - log.clientHeight < 80 + (slack || 0); }
function toEnd() { log.scrollTop = log.scrollHeight; }
function toEndIfNear(slack) { if (nearEnd(slack)) toEnd(); }

function draw(item) {
  const entry = item.entry, mine = entry.author === 'visitor';
  const name = mine ? T.you : entry.name || (entry.author === 'bot' ? T.bot : T.us);
  const el = h('div', { class: mine ? 'm me' : 'm' }, h('span', { class: mine ? 'vh' : 'who', text: name }));
  (entry.files || []).forEach((file) => { el.appendChild(drawFile(file)); });
  if (entry.text) {
    const bubble = h('div', { class: 'bubble', dir: 'auto' });
    withLinks(bubble, entry.text);
    el.appendChild(bubble);
  }
  if (entry.options) el.appendChild(drawOptions(entry));
  item.meta = h('div', { class: 'meta' });
  el.appendChild(item.meta);
  item.el = el;
  drawMeta(item);
  return el;
}

function drawMeta(item) {
  const meta = item.meta, mine = item.entry.author === 'visitor';
  meta.textContent = '';
  meta.appendChild(h('time', { dir: 'auto', text: clockTime(item.entry.key ? parseInt(item.entry.key, 10) : Date.now()) }));
  item.el.classList.toggle('failed', item.state === 'failed');
  if (!mine) return;
  if (item.state === 'failed') {
    meta.appendChild(h('span', { text: T.failed }));
    if (item.frame) meta.appendChild(h('button', { type: 'button', text: T.again, onclick: () => { again(item); } }));
    return;
  }
  meta.appendChild(icon({ waiting: ICON.clock, sent: ICON.one, stored: ICON.two }[item.state]));
  meta.appendChild(h('span', { class: 'vh', text: { waiting: T.waiting, sent: T.sent, stored: T.delivered }[item.state] }));
}

function withLinks(el, text) {
  let pattern = /https?:\/\/[^\s<>"']+/gi, from = 0, found;
  while ((found = pattern.exec(text))) {
    const words = found[0].replace(/[.,;:!?)\]}]+$/, '');
    const url = safeUrl(words);
    if (!url) continue;
    el.appendChild(document.createTextNode(text.slice(from, found.index)));
    el.appendChild(h('a', { href: url, target: '_blank', rel: 'noopener noreferrer nofollow', text: words }));
    from = found.index + words.length;
  }
  el.appendChild(document.createTextNode(text.slice(from)));
}

function drawFile(file) {
  const url = safeUrl(file.url || '', ['http:', 'https:', 'blob:']);
  const kind = (file.mime || '').split('/')[0];
  if (!url) return h('span', { class: 'doc' }, icon(ICON.file), h('span', { text: file.name }));
  if (kind === 'audio' || kind === 'video') return h(kind, { src: url, controls: true, preload: 'metadata', 'aria-label': file.name });
  const link = { class: 'doc', href: url, target: '_blank', rel: 'noopener noreferrer' };
  const named = h('a', link, icon(ICON.file), h('span', { text: file.name }));
  if (kind !== 'image') return named;
  link.class = 'pic';
  const shown = h('a', link, h('img', { src: url, alt: file.name,
    onload: () => { toEndIfNear(240); },
    onerror: () => { if (shown.parentNode) shown.parentNode.replaceChild(named, shown); } }));
  return shown;
}

function drawOptions(entry) {
  const group = h('div', { class: 'options', role: 'group', 'aria-label': entry.text || T.us });
  entry.options.forEach((option) => {
    const url = option.url && safeUrl(option.url);
    group.appendChild(url
      ? h('a', { class: 'option', href: url, target: '_blank', rel: 'noopener noreferrer', text: option.title })
      : h('button', { class: 'option', type: 'button', text: option.title, onclick: () => { choose(entry, option); } }));
  });
  group.question = entry.id;
  if (answered.has(entry.id)) lock(group, answered.get(entry.id));
  return group;
}

function choose(entry, option) {
  if (answered.has(entry.id)) return;
  input.focus();
  queue({ type: 'choice', id: newId(), option_id: option.id, title: option.title.slice(0, 200), in_reply_to: entry.id }, { text: option.title });
}

function closeQuestion(id, words) {
  answered.set(id, words);
  Array.prototype.forEach.call(log.querySelectorAll('.options'), (group) => { if (group.question === id) lock(group, words); });
}

function lock(group, words) {
  Array.prototype.forEach.call(group.querySelectorAll('button'), (button) => {
    button.disabled = true;
    button.setAttribute('aria-pressed', String(button.textContent === words));
  });
}
