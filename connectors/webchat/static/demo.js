'use strict';
(function () {
  var source = new URL('widget.js', location.href).href;
  var snippet = '<script src="' + source + '" async><\/script>';
  document.getElementById('snippet').textContent = snippet;
  document.getElementById('open').addEventListener('click', function () {
    if (window.OmnibusChat) window.OmnibusChat.open();
  });
  document.getElementById('copy').addEventListener('click', function () {
    var told = document.getElementById('copied');
    navigator.clipboard.writeText(snippet).then(
      function () { told.textContent = 'Copied.'; },
      function () { told.textContent = 'Select the code and copy it.'; }
    );
  });
})();
