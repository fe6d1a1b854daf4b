// Before anything is shown: the theme that the reader chose, else the system's; and what markup scripts may make: none.
(function () {
  "use strict";
  if (window.trustedTypes) {
    window.trustedTypes.createPolicy("default", { createHTML: function (text) { return text === "" ? text : null; } });
  }
  var chosen = null;
  try { chosen = localStorage.getItem("harness-theme"); } catch (error) { /* storage may be forbidden */ }
  var system = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    var dark = chosen === "dark" || (chosen !== "light" && system.matches);
    document.documentElement.dataset.theme = dark ? "dark" : "light";
    document.dispatchEvent(new Event("themechange"));
  }
  apply();
  system.addEventListener("change", apply);
  document.addEventListener("DOMContentLoaded", function () {
    var button = document.getElementById("theme");
    function name() {
      var dark = document.documentElement.dataset.theme === "dark";
      button.textContent = dark ? "☀ Light" : "☾ Dark";
    }
    button.hidden = false;
    name();
    document.addEventListener("themechange", name);
    button.addEventListener("click", function () {
      chosen = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
      try { localStorage.setItem("harness-theme", chosen); } catch (error) { /* it lasts until the page is closed */ }
      apply();
    });
  });
})();
