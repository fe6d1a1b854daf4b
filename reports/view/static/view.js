"use strict";
// Everything works by plain links and forms; this adds keys, sorting without a jump, and pages that keep up with a run.
(() => {
  const parts = () => [...document.querySelectorAll("[data-part]")];
  const main = () => document.querySelector("main");

  // -- colours ---------------------------------------------------------------------------------
  const isDark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const toggleTheme = () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    try { localStorage.setItem("theme", theme); } catch { /* not kept, then */ }
  };

  // -- pages that change in place ----------------------------------------------------------------
  // What is marked data-part is replaced by the same part of a newer page; scroll, focus and choices stay.
  const put = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    const focused = document.activeElement?.closest("[data-part]") && document.activeElement.dataset.key;
    const checked = [...document.querySelectorAll("input:checked")].map((input) => [input.name, input.value]);
    const opened = [...document.querySelectorAll("details[open][id]")].map((details) => details.id);
    for (const old of parts()) {
      const fresh = page.getElementById(old.id);
      if (fresh && fresh.innerHTML !== old.innerHTML) old.replaceWith(document.importNode(fresh, true));
    }
    for (const [name, value] of checked) {
      const input = [...document.getElementsByName(name)].find((one) => one.value === value && "checked" in one);
      if (input) input.checked = true;
    }
    for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
    if (focused) document.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
    const fresh = page.querySelector("main");
    if (fresh) main().dataset.live = fresh.dataset.live ?? "";
    choosing();
  };
  const load = async (url) => {
    const answer = await fetch(url, { headers: { Accept: "text/html" } });
    if (!answer.ok) throw new Error(String(answer.status));
    return answer.text();
  };

  // -- keeping up with a run -----------------------------------------------------------------------
  const live = async () => {
    const seen = main().dataset.live;
    if (!seen) return;
    const { state: before, keys, running } = JSON.parse(seen);
    let wait = running ? 2000 : 10000;
    if (!document.hidden) {
      try {
        const query = new URLSearchParams(keys.map((key) => ["run", key]));
        const now = await (await fetch(`/live?${query}`)).json();
        if (now.state !== before) put(await load(location.href));
        if (now.running) wait = 2000;
        document.body.classList.remove("lost");
      } catch {
        document.body.classList.add("lost"); // the server is gone, or restarting
        wait = 5000;
      }
    }
    setTimeout(live, wait);
  };

  // -- long texts ------------------------------------------------------------------------------------
  // Piece by piece into the page, so that five million characters do not freeze it.
  const block = (text) => {
    const part = document.createElement("div");
    part.className = "block";
    part.textContent = text;
    return part;
  };
  const showAll = async (button) => {
    button.disabled = true;
    const place = button.closest("[data-gap]");
    const total = Number(place.dataset.to);
    const text = document.createElement("div");
    place.before(text);
    let carried = "";
    for (let from = Number(place.dataset.from); from < total; from += 100000) {
      const length = Math.min(100000, total - from);
      let piece;
      try {
        piece = await load(`${place.dataset.url}&from=${from}&length=${length}&as=visible`);
      } catch {
        button.disabled = false;
        place.dataset.from = String(from);
        if (carried) text.append(block(carried));
        return;
      }
      // Blocks end where lines do, so that those out of sight need not be laid out.
      const whole = carried + piece;
      const end = from + length < total ? whole.lastIndexOf("\n") : whole.length;
      text.append(block(end < 0 ? whole : whole.slice(0, end)));
      carried = end < 0 ? "" : whole.slice(end + 1);
      button.textContent = `${Math.round((100 * (from + length)) / total)} %`;
      await new Promise((done) => setTimeout(done));
    }
    place.remove();
  };

  // -- two runs to compare -----------------------------------------------------------------------------
  const choosing = () => {
    const form = document.getElementById("comparing");
    if (!form) return;
    const of = (name) => document.querySelector(`input[name="${name}"]:checked`);
    const ready = of("a") && of("b") && of("a").value !== of("b").value;
    form.classList.toggle("ready", Boolean(ready));
    form.querySelector("button").disabled = !ready;
  };

  // -- keys --------------------------------------------------------------------------------------------
  const follow = (name) => {
    const link = document.querySelector(`a[data-go="${name}"]`);
    if (link) link.click();
    return Boolean(link);
  };
  const move = (step) => {
    const rows = [...document.querySelectorAll("a.row")];
    if (!rows.length) return false;
    const now = rows.indexOf(document.activeElement);
    const next = rows[Math.min(rows.length - 1, Math.max(0, now < 0 ? (step > 0 ? 0 : rows.length - 1) : now + step))];
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return true;
  };
  const help = () => {
    const dialog = document.getElementById("keys");
    if (dialog.open) dialog.close(); else dialog.showModal();
  };
  const keys = {
    j: () => follow("next-chain") || move(1),
    k: () => follow("previous-chain") || move(-1),
    ArrowRight: () => follow("next-chain") || follow("next"),
    ArrowLeft: () => follow("previous-chain") || follow("previous"),
    n: () => follow("next-wrong"),
    u: () => follow("up"),
    m: () => follow("math"),
    c: () => {
      const button = document.querySelector("#comparing.ready button");
      if (button) button.click(); else follow("compare");
    },
    s: () => follow("show"),
    t: toggleTheme,
    "/": () => document.querySelector("input[type=search]")?.focus(),
    "?": help,
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.closest("input, select, textarea, [contenteditable]");
    if (typing) {
      if (event.key === "Escape") typing.blur();
      const taken = !["radio", "checkbox"].includes(typing.type);
      if (taken) return;
    }
    if (document.getElementById("keys").open && event.key !== "?") return;
    const act = keys[event.key];
    if (act) {
      event.preventDefault();
      act();
    }
  });

  // -- clicks --------------------------------------------------------------------------------------------
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-do]");
    if (button) {
      const what = { theme: toggleTheme, help, "show-all": () => showAll(button) }[button.dataset.do];
      what?.();
      return;
    }
    const sort = event.target.closest("a[data-swap]");
    if (sort && !event.ctrlKey && !event.metaKey && !event.shiftKey && event.button === 0) {
      event.preventDefault();
      try {
        const text = await load(sort.href);
        history.replaceState(null, "", sort.href);
        put(text);
      } catch {
        location.href = sort.href;
      }
    }
  });
  document.addEventListener("change", (event) => {
    if (event.target.matches("form.filter select")) event.target.form.requestSubmit();
    choosing();
  });
  document.addEventListener("submit", (event) => {
    // Fields that were left empty do not stand in the address.
    if (event.target.method !== "get") return;
    const empty = [...event.target.elements].filter((field) => field.name && !field.value && !field.disabled);
    for (const field of empty) field.disabled = true;
    setTimeout(() => { for (const field of empty) field.disabled = false; });
  });

  document.body.classList.add("scripted"); // shows what works with a script only
  choosing();
  setTimeout(live, 1500);
})();
