// Tables that sort: a click on a heading sorts by its numbers, the next one turns the order, the third restores it.
(function () {
  "use strict";
  var texts = new Intl.Collator("en", { numeric: true, sensitivity: "base" });

  function key(row, place, numeric) {
    var cell = row.cells[place];
    if (!cell) return null;
    if (!numeric) return cell.textContent.trim();
    return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
  }

  function compare(a, b, numeric, down) {
    if (a === null || b === null) return (a === null) - (b === null); // what is not known stands last, always
    var order = numeric ? a - b : texts.compare(a, b);
    return down ? -order : order;
  }

  function prepare(table) {
    var bodies = Array.prototype.slice.call(table.tBodies);
    var home = bodies.map(function (body) { return Array.prototype.slice.call(body.rows); });
    var rows = [].concat.apply([], home).filter(function (row) { return !row.classList.contains("heading"); });
    var heads = table.tHead.rows[table.tHead.rows.length - 1].cells;

    function restore() {
      bodies.forEach(function (body, i) { home[i].forEach(function (row) { body.append(row); }); });
      table.classList.remove("sorted");
    }

    function sort(place, numeric, down) {
      var keyed = rows.map(function (row, i) { return { row: row, key: key(row, place, numeric), at: i }; });
      keyed.sort(function (a, b) { return compare(a.key, b.key, numeric, down) || a.at - b.at; });
      // All rows in one body: groups have no order of their own any more.
      keyed.forEach(function (entry) { bodies[0].append(entry.row); });
      table.classList.add("sorted");
    }

    Array.prototype.forEach.call(heads, function (head, place) {
      var numeric = head.dataset.numeric === "1";
      var first = numeric && head.dataset.better !== "low" ? "descending" : "ascending";
      var button = document.createElement("button");
      button.type = "button";
      button.append.apply(button, Array.prototype.slice.call(head.childNodes));
      head.append(button);
      button.addEventListener("click", function () {
        var now = head.getAttribute("aria-sort");
        var other = first === "descending" ? "ascending" : "descending";
        var next = now === null ? first : now === first ? other : null;
        Array.prototype.forEach.call(heads, function (each) { each.removeAttribute("aria-sort"); });
        if (next === null) { restore(); return; }
        head.setAttribute("aria-sort", next);
        sort(place, numeric, next === "descending");
      });
    });
  }

  Array.prototype.forEach.call(document.querySelectorAll("table.sortable"), prepare);
})();
