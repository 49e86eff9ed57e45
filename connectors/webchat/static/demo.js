'use strict';
(() => {
  const source = new URL('widget.js', location.href).href;
  const snippet = '<script src="' + source + '" async><\/script>';
  document.getElementById('snippet').textContent = snippet;
  document.getElementById('open').addEventListener('click', () => {
    if (window.OmnibusChat) window.OmnibusChat.open();
  });
  document.getElementById('copy').addEventListener('click', () => {
    const told = document.getElementById('copied');
    navigator.clipboard.writeText(snippet).then(
      () => { told.textContent = 'Copied.'; },
      () => { told.textContent = 'Select the code and copy it.'; }
    );
  });
})();
