module.exports = globalThis.ReactDOM;
