module.exports = globalThis.ChakraUI;
