// --- writing --------------------------------------------------------------------------------

function grow() {
  input.style.height = 'auto';
  input.style.height = Math.min(132, input.scrollHeight + 2) + 'px';
  sendButton.disabled = !input.value.trim();
  say('');
}

function enterSends(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  submit();
}

function submit() {
  const text = input.value.trim();
  if (!text) return;
  input.value = '';
  grow();
  input.focus();
  queue({ type: 'message', id: newId(), text: text }, { text: text });
}

function say(words) {
  notice.hidden = !words;
  notice.textContent = words;
}

function queue(message, shown) {
  save('localStorage', 'used', '1');
  outbox.push(message);
  keepOutbox();
  const item = show(Object.assign({ id: message.id, author: 'visitor', in_reply_to: message.in_reply_to }, shown), 'waiting');
  item.frame = message;
  start();
  flush();
}

function again(item) {
  item.state = 'waiting';
  drawMeta(item);
  outbox.push(item.frame);
  keepOutbox();
  flush();
}

function keepOutbox() { save('sessionStorage', 'outbox', JSON.stringify(outbox)); }

function flush() {
  // One at a time: what was written first arrives first, whatever happens in between.
  if (!welcomed || inFlight || !outbox.length) return;
  inFlight = outbox[0].id;
  transmit(outbox[0]);
  const item = items.get(inFlight);
  if (item && item.state === 'waiting') { item.state = 'sent'; drawMeta(item); }
}

function done(id, key) {
  outbox = outbox.filter((message) => message.id !== id);
  keepOutbox();
  const item = items.get(id);
  if (item) settle(item, key ? { key: key } : {}, 'stored');
  if (key) sawKey(key);
  if (inFlight === id) inFlight = null;
  flush();
}

function notTaken(problem) {
  const item = items.get(problem.id);
  if (problem.id !== inFlight) return;
  inFlight = null;
  if (problem.after_ms) {
    clearTimeout(resendTimer);
    resendTimer = setTimeout(flush, problem.after_ms + Math.random() * 250);
    if (item) { item.state = 'waiting'; drawMeta(item); }
    return;
  }
  outbox = outbox.filter((message) => message.id !== problem.id);
  keepOutbox();
  if (item) { item.state = 'failed'; drawMeta(item); }
  flush();
}

// --- files ----------------------------------------------------------------------------------

function pasteFiles(event) {
  const files = event.clipboardData && event.clipboardData.files;
  if (!files || !files.length) return;
  event.preventDefault();
  upload(files);
}

function upload(files) {
  Array.prototype.slice.call(files, 0, 5).forEach((file) => {
    if (look.file_types.indexOf(file.type) < 0) { say(T.wrongType); return; }
    if (file.size > look.max_file_size) { say(T.tooLarge); return; }
    if (!session) { say(T.offline); return; }
    const form = new FormData();
    form.append('file', file);
    say(T.uploading);
    fetch(base + 'files', { method: 'POST', body: form, credentials: 'omit', headers: { Authorization: 'Bearer ' + session } })
      .then((answer) => {
        if (answer.ok) return answer.json();
        if (answer.status === 403) drop();   // the session has ended; the next welcome brings another
        throw new Error(answer.status === 413 ? T.tooLarge : answer.status === 415 ? T.wrongType : T.uploadFailed);
      })
      .then((done) => {
        say('');
        const shown = { name: done.name, mime: done.mime, url: URL.createObjectURL(file) };
        queue({ type: 'message', id: newId(), files: [done] }, { files: [shown] });
      })
      .catch((error) => { say(error instanceof TypeError ? T.uploadFailed : error.message); });
  });
}

// --- what was read --------------------------------------------------------------------------

function theirs() {
  const found = [];
  items.forEach((item) => { if (item.entry.author !== 'visitor' && item.entry.key) found.push(item.entry); });
  return found;
}

function reading() { return isOpen && document.visibilityState === 'visible'; }

function reportedOf(entry) {
  if (told.has(entry.id)) return told.get(entry.id);
  return entry.key <= reported.read ? 'read' : entry.key <= reported.delivered ? 'delivered' : '';
}

function noteRead() {
  const what = reading() ? 'read' : 'delivered';
  const news = theirs().filter((entry) => [what, 'read'].indexOf(reportedOf(entry)) < 0);
  if (welcomed && news.length) {
    const ids = news.map((entry) => entry.id);
    for (let i = 0; i < ids.length; i += 50) transmit({ type: 'receipt', ids: ids.slice(i, i + 50), status: what });
    news.forEach((entry) => {
      told.set(entry.id, what);
      if (entry.key > reported[what]) reported[what] = entry.key;
    });
    save('localStorage', what, reported[what]);
  }
  showUnread();
}

function readElsewhere(key) {
  reported.read = key;
  theirs().forEach((entry) => { if (entry.key <= key) told.set(entry.id, 'read'); });
  showUnread();
}

function showUnread() {
  const count = isOpen ? 0 : theirs().filter((entry) => reportedOf(entry) !== 'read').length;
  badge.hidden = !count;
  badge.textContent = count > 9 ? '9+' : String(count);
  launcher.setAttribute('aria-label', isOpen ? T.close : count ? T.open + ' (' + count + ' ' + T.unread + ')' : T.open);
}

// --- the socket -----------------------------------------------------------------------------

function start() {
  if (started) return;
  started = true;
  connect();
}

function connect() {
  clearTimeout(reconnectTimer);
  if (refused || (socket && socket.readyState < 2)) return;
  if (navigator.onLine === false) { state(T.offline); return; }
  state(attempts ? T.offline : T.connecting);
  const current = socket = new WebSocket(base.replace(/^http/, 'ws') + 'ws');
  current.onopen = () => {
    transmit({ type: 'hello', token: token || undefined, user: claim(), after: lastKey || undefined, locale: tag(), page: location.href.split(/[?#]/)[0].slice(0, 500) });
  };
  current.onmessage = (event) => { if (current === socket) receive(JSON.parse(event.data)); };
  current.onclose = (event) => { if (current === socket) lost(event.code); };
}

function tag() { return /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$/.test(locale) ? locale : undefined; }

function claim() {
  const user = { user_id: data.userId, hmac: data.userHmac, name: data.userName, email: data.userEmail };
  return user.user_id || user.name || user.email ? user : undefined;
}

function transmit(message) {
  if (socket && socket.readyState === 1) socket.send(JSON.stringify(message));
}

function lost(code) {
  socket = null;
  welcomed = false;
  session = null;
  inFlight = null;
  clearTimeout(pingTimer);
  clearTimeout(pongTimer);
  items.forEach((item) => { if (item.state === 'sent') { item.state = 'waiting'; drawMeta(item); } });
  if (code === 4401) { refused = true; state(T.refused); return; }
  state(T.offline);
  let longest = Math.min(30000, 500 * Math.pow(2, attempts++));
  if (code === 4429) longest = 60000;
  reconnectTimer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

function drop() {
  // A broken line can take minutes to be noticed; we do not wait for its close event.
  const old = socket;
  if (!old) return;
  socket = null;
  old.close();
  lost(1006);
}

function state(words) {
  status.hidden = !words;
  status.textContent = words;
}

function keepAlive() {
  clearTimeout(pingTimer);
  clearTimeout(pongTimer);
  pingTimer = setTimeout(ping, 25000);
}

function ping() {
  clearTimeout(pongTimer);
  transmit({ type: 'ping' });
  pongTimer = setTimeout(drop, 10000);
}

function receive(message) {
  keepAlive();
  const act = { welcome: welcome, message: pushed, ack: acked, history: olderCame, typing: typingChanged, error: notTaken }[message.type];
  if (act) act(message);
}

function welcome(message) {
  attempts = 0;
  welcomed = true;
  session = message.session;
  look = message.look;
  token = message.token;
  if (!ownOrigin) save('localStorage', 'token', token);
  state('');
  heading.textContent = data.title || look.title || T.title;
  greeting.firstChild.textContent = data.greeting || look.greeting || T.greeting;
  if (!data.color) paint(look.color);
  input.maxLength = look.max_text_chars;
  picker.accept = look.file_types.join(',');
  clip.hidden = !look.max_file_size;
  if (message.gap) forget();
  bulk(message.entries);
  if (message.more) older.hidden = false;
  noteRead();
  flush();
}

function forget() {
  items.forEach((item, id) => { if (item.entry.key) { item.el.remove(); items.delete(id); } });
}

function bulk(entries) {
  log.setAttribute('aria-busy', 'true');
  entries.forEach((entry) => { sawKey(entry.key); show(entry, 'stored'); });
  setTimeout(() => { log.removeAttribute('aria-busy'); }, 0);
}

function sawKey(key) { if (!lastKey || key > lastKey) lastKey = key; }

function pushed(message) {
  const entry = message.entry;
  const isNew = !items.has(entry.id);
  sawKey(entry.key);
  if (!isNew && outbox.some((waiting) => waiting.id === entry.id)) return;   // its ack is on its way
  show(entry, 'stored');
  if (entry.author === 'visitor' || !isNew) return;
  told.set(entry.id, '');   // however old: it was not here before
  typingChanged({ on: false });
  noteRead();
}

function acked(message) { done(message.id, message.key); }

function askOlder() {
  let first = null;
  items.forEach((item) => { if (item.entry.key && (!first || item.entry.key < first)) first = item.entry.key; });
  if (first) transmit({ type: 'history', before: first });
}

function olderCame(message) {
  const height = log.scrollHeight, top = log.scrollTop, moved = root.activeElement === older;
  bulk(message.entries);
  older.hidden = !message.more;
  log.scrollTop = top + log.scrollHeight - height;
  if (moved && older.hidden) log.focus();
}

function typingChanged(message) {
  clearTimeout(typingTimer);
  typing.hidden = !message.on;
  typing.textContent = message.on ? (message.name || T.us) + ' ' + T.typing : '';
  if (message.on) typingTimer = setTimeout(() => { typingChanged({ on: false }); }, 15000);
}

// --- the page around us ---------------------------------------------------------------------

window.addEventListener('online', () => { attempts = 0; if (started) connect(); });
window.addEventListener('offline', drop);
window.addEventListener('storage', (event) => {
  if (event.key === store + 'read' && event.newValue > reported.read) readElsewhere(event.newValue);
});
document.addEventListener('visibilitychange', () => {
  if (document.visibilityState !== 'visible') return;
  if (welcomed) ping(); else if (started) connect();
  noteRead();
});

function begin() {
  document.body.appendChild(host);
  try { outbox = JSON.parse(load('sessionStorage', 'outbox') || '[]'); } catch (damaged) { outbox = []; }
  outbox.forEach((message) => {
    const item = show({ id: message.id, author: 'visitor', text: message.text || message.title, files: message.files, in_reply_to: message.in_reply_to }, 'waiting');
    item.frame = message;
  });
  // A visitor who has never written costs no connection; one who has is told of new replies.
  if (outbox.length || load('localStorage', 'used')) start();
  if (data.open !== undefined) open();
}

window.OmnibusChat = { open: open, close: close };
if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);
