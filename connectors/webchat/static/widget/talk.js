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
  var text = input.value.trim();
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
  var item = show(Object.assign({ id: message.id, author: 'visitor', in_reply_to: message.in_reply_to }, shown), 'waiting');
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
  var item = items.get(inFlight);
  if (item && item.state === 'waiting') { item.state = 'sent'; drawMeta(item); }
}

function done(id, key) {
  outbox = outbox.filter(function (message) { return message.id !== id; });
  keepOutbox();
  var item = items.get(id);
  if (item) settle(item, key ? { key: key } : {}, 'stored');
  if (key) sawKey(key);
  if (inFlight === id) inFlight = null;
  flush();
}

function notTaken(problem) {
  var item = items.get(problem.id);
  if (problem.id !== inFlight) return;
  inFlight = null;
  if (problem.after_ms) {
    clearTimeout(resendTimer);
    resendTimer = setTimeout(flush, problem.after_ms + Math.random() * 250);
    if (item) { item.state = 'waiting'; drawMeta(item); }
    return;
  }
  outbox = outbox.filter(function (message) { return message.id !== problem.id; });
  keepOutbox();
  if (item) { item.state = 'failed'; drawMeta(item); }
  flush();
}

// --- files ----------------------------------------------------------------------------------

function pasteFiles(event) {
  var files = event.clipboardData && event.clipboardData.files;
  if (!files || !files.length) return;
  event.preventDefault();
  upload(files);
}

function upload(files) {
  Array.prototype.slice.call(files, 0, 5).forEach(function (file) {
    if (look.file_types.indexOf(file.type) < 0) { say(T.wrongType); return; }
    if (file.size > look.max_file_size) { say(T.tooLarge); return; }
    if (!session) { say(T.offline); return; }
    var form = new FormData();
    form.append('file', file);
    say(T.uploading);
    fetch(base + 'files', { method: 'POST', body: form, credentials: 'omit', headers: { Authorization: 'Bearer ' + session } })
      .then(function (answer) {
        if (answer.ok) return answer.json();
        throw new Error(answer.status === 413 ? T.tooLarge : answer.status === 415 ? T.wrongType : T.uploadFailed);
      })
      .then(function (done) {
        say('');
        var shown = { name: done.name, mime: done.mime, url: URL.createObjectURL(file) };
        queue({ type: 'message', id: newId(), files: [done] }, { files: [shown] });
      })
      .catch(function (error) { say(error instanceof TypeError ? T.uploadFailed : error.message); });
  });
}

// --- what was read --------------------------------------------------------------------------

function theirs() {
  var found = [];
  items.forEach(function (item) { if (item.entry.author !== 'visitor' && item.entry.key) found.push(item.entry); });
  return found;
}

function reading() { return isOpen && document.visibilityState === 'visible'; }

function noteRead() {
  if (reading()) {
    theirs().forEach(function (entry) { if (entry.key > readKey) { readKey = entry.key; save('localStorage', 'read', readKey); } });
  }
  report(reading() ? 'read' : 'delivered');
  showUnread();
}

function report(what) {
  if (!welcomed) return;
  var ids = theirs().filter(function (entry) {
    var before = told.get(entry.id);
    return before !== what && before !== 'read';
  }).map(function (entry) { return entry.id; });
  for (var i = 0; i < ids.length; i += 50) transmit({ type: 'receipt', ids: ids.slice(i, i + 50), status: what });
  ids.forEach(function (id) { told.set(id, what); });
}

function showUnread() {
  var count = isOpen ? 0 : theirs().filter(function (entry) { return entry.key > readKey; }).length;
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
  var current = socket = new WebSocket(base.replace(/^http/, 'ws') + 'ws');
  current.onopen = function () {
    transmit({ type: 'hello', token: token || undefined, user: claim(), after: lastKey || undefined, locale: tag(), page: location.href.split(/[?#]/)[0].slice(0, 500) });
  };
  current.onmessage = function (event) { if (current === socket) receive(JSON.parse(event.data)); };
  current.onclose = function (event) { if (current === socket) lost(event.code); };
}

function tag() { return /^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$/.test(locale) ? locale : undefined; }

function claim() {
  var user = { user_id: data.userId, hmac: data.userHmac, name: data.userName, email: data.userEmail };
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
  items.forEach(function (item) { if (item.state === 'sent') { item.state = 'waiting'; drawMeta(item); } });
  if (code === 4401) { refused = true; state(T.refused); return; }
  state(T.offline);
  var longest = Math.min(30000, 500 * Math.pow(2, attempts++));
  if (code === 4429) longest = 60000;
  reconnectTimer = setTimeout(connect, longest * (0.5 + Math.random() / 2));
}

function drop() {
  // A broken line can take minutes to be noticed; we do not wait for its close event.
  var old = socket;
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
  var act = { welcome: welcome, message: pushed, ack: acked, history: olderCame, typing: typingChanged, error: notTaken }[message.type];
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
  items.forEach(function (item, id) { if (item.entry.key) { item.el.remove(); items.delete(id); } });
}

function bulk(entries) {
  log.setAttribute('aria-busy', 'true');
  entries.forEach(function (entry) { sawKey(entry.key); show(entry, 'stored'); });
  setTimeout(function () { log.removeAttribute('aria-busy'); }, 0);
}

function sawKey(key) { if (!lastKey || key > lastKey) lastKey = key; }

function pushed(message) {
  var entry = message.entry;
  var isNew = !items.has(entry.id);
  sawKey(entry.key);
  if (!isNew && outbox.some(function (waiting) { return waiting.id === entry.id; })) return;   // its ack is on its way
  show(entry, 'stored');
  if (entry.author !== 'visitor') typingChanged({ on: false });
  if (isNew) noteRead();
}

function acked(message) { done(message.id, message.key); }

function askOlder() {
  var first = null;
  items.forEach(function (item) { if (item.entry.key && (!first || item.entry.key < first)) first = item.entry.key; });
  if (first) transmit({ type: 'history', before: first });
}

function olderCame(message) {
  var height = log.scrollHeight, top = log.scrollTop, moved = root.activeElement === older;
  bulk(message.entries);
  older.hidden = !message.more;
  log.scrollTop = top + log.scrollHeight - height;
  if (moved && older.hidden) log.focus();
}

function typingChanged(message) {
  clearTimeout(typingTimer);
  typing.hidden = !message.on;
  typing.textContent = message.on ? (message.name || T.us) + ' ' + T.typing : '';
  if (message.on) typingTimer = setTimeout(function () { typingChanged({ on: false }); }, 15000);
}

// --- the page around us ---------------------------------------------------------------------

window.addEventListener('online', function () { attempts = 0; if (started) connect(); });
window.addEventListener('offline', drop);
window.addEventListener('storage', function (event) {
  if (event.key === store + 'read' && event.newValue > readKey) { readKey = event.newValue; showUnread(); }
});
document.addEventListener('visibilitychange', function () {
  if (document.visibilityState !== 'visible') return;
  if (welcomed) ping(); else if (started) connect();
  noteRead();
});

function begin() {
  document.body.appendChild(host);
  try { outbox = JSON.parse(load('sessionStorage', 'outbox') || '[]'); } catch (damaged) { outbox = []; }
  outbox.forEach(function (message) {
    var item = show({ id: message.id, author: 'visitor', text: message.text || message.title, files: message.files, in_reply_to: message.in_reply_to }, 'waiting');
    item.frame = message;
  });
  // A visitor who has never written costs no connection; one who has is told of new replies.
  if (outbox.length || load('localStorage', 'used')) start();
  if (data.open !== undefined) open();
}

window.OmnibusChat = { open: open, close: close };
if (document.body) begin(); else document.addEventListener('DOMContentLoaded', begin);
