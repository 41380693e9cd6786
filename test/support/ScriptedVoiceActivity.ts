export { layer } from "@rspp/providers/scripted/ScriptedVoiceActivity"
