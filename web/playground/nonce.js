// Style elements that scripts make (the editor's) get the page's nonce: the policy refuses those without one.
// Imported first, before anything that makes some.
const { nonce } = document.querySelector('link[rel="stylesheet"]');
const { createElement } = Document.prototype;

Document.prototype.createElement = function (name, options) {
  const element = createElement.call(this, name, options);
  if (element instanceof HTMLStyleElement) element.nonce = nonce;
  return element;
};
