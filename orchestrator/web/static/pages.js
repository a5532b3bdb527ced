// What htmx does not do: filters that submit themselves, questions before a danger, dragging one step onto another.
"use strict";

document.addEventListener("change", (event) => {
  const field = event.target;
  if (field.matches("[data-submits]")) field.form.submit();
  if (field.matches("[data-reloads]")) {
    const kept = new URLSearchParams();
    for (const name of ["workflow", "profile"]) {
      const other = field.form.elements[name];
      if (other && other.value) kept.set(name, other.value);
    }
    location.assign(`${field.dataset.reloads}?${kept}`);
  }
});

document.addEventListener("submit", (event) => {
  const question = event.target.dataset.asks;
  if (question && !window.confirm(question)) event.preventDefault();
});

// A group of an SVG is no button: Enter and Space choose it as a click does.
document.addEventListener("keydown", (event) => {
  const node = event.target.closest("[data-step]");
  if (node && (event.key === "Enter" || event.key === " ")) {
    event.preventDefault();
    htmx.trigger(node, "choose");
  }
});

// On a phone the pages' names are wider than it: the one that is shown stands in view.
document.querySelector(".top nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

let from = null;
document.addEventListener("pointerdown", (event) => {
  from = event.target.closest("[data-step]");
});
document.addEventListener("pointerup", (event) => {
  const source = from;
  from = null;
  const target = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-step]");
  if (!source || !target || source === target) return;
  const form = document.getElementById("editor");
  form.elements.source.value = source.dataset.step;
  form.elements.target.value = target.dataset.step;
  htmx.trigger("#connect", "click");
});
