module.exports = globalThis.ReactRouterDOM;
