// Draws the charts, again when the theme or the width changes.
(function () {
  "use strict";
  var data = JSON.parse(document.getElementById("data").textContent);
  var figures = Array.prototype.slice.call(document.querySelectorAll("figure[data-chart]"));
  var tip = document.getElementById("tip");
  var turn = 0;

  // Texts only, whatever they hold.
  function tooltip(handler, event, item, value) {
    if (value === null || value === undefined || value === "") { tip.hidden = true; return; }
    tip.replaceChildren();
    var pairs = typeof value === "object" ? Object.entries(value) : [["", value]];
    pairs.forEach(function (pair) {
      if (pair[1] === null || pair[1] === undefined || pair[1] === "" || pair[1] === "null" || pair[1] === "NaN") return;
      var line = document.createElement("div");
      var name = document.createElement("span");
      name.textContent = pair[0];
      line.append(name, " ", String(pair[1]));
      tip.append(line);
    });
    tip.hidden = false;
    var box = tip.getBoundingClientRect();
    tip.style.left = Math.max(4, Math.min(event.clientX + 14, window.innerWidth - box.width - 8)) + "px";
    tip.style.top = Math.max(4, Math.min(event.clientY + 14, window.innerHeight - box.height - 8)) + "px";
  }

  // Letters of a model's name that fit beside a chart.
  function letters(width) {
    return Math.max(14, Math.min(40, Math.round(width * 0.05)));
  }

  function config(width) {
    var found = structuredClone(data[document.documentElement.dataset.theme === "dark" ? "dark" : "light"]);
    found.axis.labelLimit = letters(width) * 8.4;
    found.legend.labelLimit = Math.min(230, Math.round(width * 0.64) - 34);
    found.legend.columns = Math.max(1, Math.floor(width / 215));
    found.header.labelLimit = width - 60;
    if (width < 480) found.legend.columnPadding = 8;
    return found;
  }

  function spec(name, width) {
    var found = structuredClone(data.charts[name]);
    found.config = config(width);
    if (found.usermeta && found.usermeta.margin) {
      var columns = Math.max(1, Math.min(found.usermeta.columns || 1, Math.floor(width / 280)));
      if (found.usermeta.columns) {
        found.columns = columns;
        found.config.header.labelLimit = Math.floor(width / columns) - 60;
      }
      (found.vconcat || [found.spec]).forEach(function (panel) {
        panel.width = Math.max(120, Math.floor(width / columns) - found.usermeta.margin);
      });
      delete found.usermeta;
    } else {
      found.width = width;
    }
    (found.params || []).forEach(function (param) {
      if (param.name === "letters") param.value = letters(width);
    });
    return found;
  }

  async function draw(figure) {
    var plot = figure.querySelector(".plot");
    var width = Math.floor(plot.clientWidth);
    var place = document.createElement("div");
    var result = await window.vegaEmbed(place, spec(figure.dataset.chart, width), {
      ast: true, // no eval: expressions are interpreted
      actions: false,
      defaultStyle: false,
      renderer: "svg",
      logLevel: 1, // errors: what Vega-Lite warns of (a layer that is empty at first) is meant
      tooltip: tooltip,
    });
    if (figure.drawn) figure.drawn.finalize();
    plot.replaceChildren(place);
    figure.drawn = result;
    figure.drawnWidth = width;
  }

  async function drawAll() {
    var mine = ++turn;
    document.body.dataset.charts = "drawing";
    tip.hidden = true;
    for (var figure of figures) {
      await new Promise(function (done) { setTimeout(done, 0); }); // the page stays quick meanwhile
      if (mine !== turn) return;
      try {
        await draw(figure);
      } catch (error) {
        console.error("chart " + figure.dataset.chart + " was not drawn", error);
      }
    }
    if (mine === turn) document.body.dataset.charts = "drawn";
  }

  var later = 0;
  function resized() {
    clearTimeout(later);
    later = setTimeout(function () {
      var stale = figures.some(function (figure) {
        return Math.abs(Math.floor(figure.querySelector(".plot").clientWidth) - figure.drawnWidth) > 8;
      });
      if (stale) drawAll();
    }, 200);
  }

  document.addEventListener("themechange", drawAll);
  window.addEventListener("resize", resized);
  window.addEventListener("scroll", function () { tip.hidden = true; }, { passive: true });
  drawAll();
})();
