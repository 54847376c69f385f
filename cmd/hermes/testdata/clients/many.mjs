// An MCP server with two hundred tools, made with the official SDK.
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StdioServerTransport } from '@modelcontextprotocol/sdk/server/stdio.js'
import { z } from 'zod'

const server = new McpServer({ name: 'shop', version: '1' })
for (let i = 0; i < 200; i++) {
  const name = `order_${i}`
  server.registerTool(
    name,
    { description: `Orders number ${i} from the catalogue, which holds things of all sorts and sizes.`, inputSchema: { amount: z.number().int().describe('how many') } },
    async ({ amount }) => ({ content: [{ type: 'text', text: `${name}: ${amount}` }] }),
  )
}
await server.connect(new StdioServerTransport())
