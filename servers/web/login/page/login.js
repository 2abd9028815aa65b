// The panel of the address stays over the login. A display that is alone brings its token behind the #, which no server
// and no log ever sees: login#token=...
const form = document.querySelector("form.token");
const { token } = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
if (token) {
  history.replaceState(null, "", location.pathname);
  form.elements.token.value = token;
  form.submit();
} else for (const each of document.forms) each.action += location.hash;
const room = localStorage.getItem("room");
if (room === "light" || room === "dark") document.documentElement.dataset.room = room;
