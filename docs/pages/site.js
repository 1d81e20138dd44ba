// What the themes make in the page while it is read: bars of buttons and the search get names of their own, and tables that
// are wider than the screen are stops of the keyboard, so that they can be scrolled.
function named() {
  document.querySelectorAll(".md-code__nav:not([aria-label])").forEach((bar) => bar.setAttribute("aria-label", `Code ${bar.parentElement.id.replace(/\D+/g, "")}`));
  document.querySelectorAll(".md-search[role=dialog]:not([aria-label])").forEach((search) => search.setAttribute("aria-label", "Search"));
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex])").forEach((table) => table.setAttribute("tabindex", "0"));
}
new MutationObserver(named).observe(document.body, { childList: true, subtree: true });
named();
