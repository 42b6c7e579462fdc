"use strict";
document.querySelector(".keys")?.removeAttribute("hidden");
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "o") document.getElementById("marks")?.click();
  if (event.key !== "j" && event.key !== "k") return;
  const bar = document.querySelector(".bar").getBoundingClientRect().bottom + 40;
  const lesions = [...document.querySelectorAll(".lesion")];
  const next = event.key === "j"
    ? lesions.find((lesion) => lesion.getBoundingClientRect().top > bar)
    : lesions.findLast((lesion) => lesion.getBoundingClientRect().top < 0);
  next?.scrollIntoView();
});
