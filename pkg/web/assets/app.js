// Keeps the page as the server would make it now. It only ever puts in what the server
// escaped, and says so when it hears nothing more.
"use strict";
(() => {
  const at = (id) => document.getElementById(id);
  const patience = 2 * Number(document.body.dataset.beat) + 2000;
  let source = null;
  let heard = 0; // when the server was last heard, by the clock below
  let looked = null; // how old the look was then; null if there is none
  let stale = false;
  const clock = () => performance.now();

  function status() {
    const silent = !heard || clock() - heard > patience;
    const line = at("live");
    line.classList.toggle("on", !silent && !stale);
    line.classList.toggle("stale", stale || silent);
    const how = silent ? "Not live: the server does not answer" : stale ? "Stale" : "Live";
    if (at("how").textContent !== how) {
      at("how").textContent = how;
      if (heard) at("announce").textContent = how;
    }
    const age = looked === null ? "" : "(" + Math.max(0, Math.round((looked + clock() - heard) / 1000)) + " s ago)";
    if (at("age").textContent !== age) at("age").textContent = age;
  }

  function hear(beat) {
    heard = clock();
    stale = beat.stale;
    looked = beat.age < 0 ? null : beat.age;
    at("as-of").textContent = beat.clock;
    if (beat.at) at("as-of").dateTime = beat.at;
    status();
  }

  // put replaces what is in an element; what is open or scrolled stays so.
  function put(id, html) {
    const element = at(id);
    if (!element) return;
    const scrolled = [...element.querySelectorAll(".scroll, .events, .steps")].map((e) => e.scrollTop);
    const opened = [...element.querySelectorAll("details")].map((d) => d.open);
    const focused = [...element.querySelectorAll("summary, [tabindex]")].indexOf(document.activeElement);
    element.innerHTML = html;
    element.querySelectorAll("details").forEach((d, i) => { d.open = opened[i] === true; });
    element.querySelectorAll(".scroll, .events, .steps").forEach((e, i) => { e.scrollTop = scrolled[i] || 0; });
    if (focused >= 0) element.querySelectorAll("summary, [tabindex]")[focused]?.focus();
    if (element.tagName === "TR") {
      element.classList.remove("changed");
      void element.offsetWidth; // begin the animation anew
      element.classList.add("changed");
    }
  }

  // nameOf is what an element is found again by on a page that is made anew.
  function nameOf(element) {
    if (element.tagName === "DETAILS") return "details " + (element.querySelector("summary")?.textContent ?? "");
    return element.id || element.getAttribute("aria-label") || "";
  }

  // renew takes the whole page: relays came or went.
  async function renew() {
    const answer = await fetch("/", { headers: { Accept: "text/html" } });
    if (!answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const main = page.getElementById("main");
    const named = (root, name) => [...root.querySelectorAll("details, [id], [aria-label]")].find((e) => nameOf(e) === name);
    const opened = [...at("main").querySelectorAll("details[open]")].map(nameOf);
    const scrolled = [...at("main").querySelectorAll(".scroll, .events, .steps")].map((e) => [nameOf(e), e.scrollTop]);
    const active = document.activeElement;
    const focused = active && at("main").contains(active) ? nameOf(active.tagName === "SUMMARY" ? active.parentElement : active) : "";
    at("main").replaceWith(main);
    for (const name of opened) { const e = named(main, name); if (e) e.open = true; }
    for (const [name, top] of scrolled) { const e = name && named(main, name); if (e) e.scrollTop = top; }
    if (focused) {
      const e = named(main, focused);
      (e?.querySelector(":scope > summary") ?? e)?.focus({ preventScroll: true });
    }
    at("announce").textContent = page.getElementById("announce").textContent;
    document.body.dataset.look = page.body.dataset.look;
    follow();
  }

  function follow() {
    if (source) source.close();
    source = new EventSource("/live?have=" + encodeURIComponent(document.body.dataset.look));
    source.addEventListener("beat", (event) => hear(JSON.parse(event.data)));
    source.addEventListener("look", (event) => {
      const news = JSON.parse(event.data);
      hear(news);
      if (news.reload) {
        source.close();
        renew().catch(() => {});
        return;
      }
      document.body.dataset.look = event.lastEventId;
      for (const part of news.parts) put(part.id, part.html);
    });
  }

  follow();
  setInterval(status, 1000);
  // A browser gives up for good when it is refused: ask again as long as the page is open.
  setInterval(() => { if (source.readyState === EventSource.CLOSED) follow(); }, 5000);
})();
